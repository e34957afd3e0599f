--- The times of the stream's policy, in seconds. No option: only specs change them, before they
--- make a stream, since the real ones would make them wait for minutes.

return {
  rotation = 3,         -- between our own disconnect and the next connection
  ladder = { 5, 10, 20, 40, 80, 160, 300 }, -- after the first, second, ... failure in a row
  jitter = 0.2,         -- of a wait, up or down
  busy = 60,            -- at least, after the server said that it is asked too much
  transient = 10,       -- after our own disconnect a refusal means "too soon"
  steady = 60,          -- a session that lasted so long was a good one
  -- In which there are at most 4 connections, and 3 sessions that are ended: a minute, and a second
  -- since the account file holds whole ones and the server counts when they arrive.
  window = 61,
  drain = 1,            -- at most, for what has come before our own disconnect
  suback = 15,          -- until the subscription must be acknowledged
  renew = { 0.75, 0.83 }, -- of a token's life: when to get the next one (45 to 50 minutes of 60)
  renew_again = 60,     -- at most, after a renewal that failed while the session goes on
  save = 5,             -- between two writes of the values to the account file
  quiet = 0.2,          -- messages of a car that come closer together are one update,
  longest = 1,          -- unless the first of them is so old
}
