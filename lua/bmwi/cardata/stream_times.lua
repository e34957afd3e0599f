--- The timing policy of the stream, in seconds. These are not options: only specs change them,
--- before they create a stream, to avoid waiting for minutes.

return {
  rotation = 3,         -- between our own disconnect and the next connection
  ladder = { 5, 10, 20, 40, 80, 160, 300 }, -- after the first, second, ... failure in a row
  jitter = 0.2,         -- of a wait, up or down
  busy = 60,            -- minimum, after the server reported that it is overloaded
  transient = 10,       -- a refusal this soon after our own disconnect means "too soon"
  steady = 60,          -- a session that lasted this long counts as successful
  -- In which there are at most 4 connections, and 3 sessions that are ended: a minute, and a second
  -- since the account file holds whole ones and the server counts when they arrive.
  window = 61,
  drain = 1,            -- maximum, for what has arrived before our own disconnect
  suback = 15,          -- until the subscription must be acknowledged
  renew = { 0.75, 0.83 }, -- of a token's lifetime: when to renew it (45 to 50 minutes of 60)
  renew_again = 60,     -- maximum, after a renewal that failed during a session
  save = 5,             -- between two writes of the values to the account file
  quiet = 0.2,          -- a car's messages that arrive closer together are one update,
  longest = 1,          -- unless the first of them is older than this
}
