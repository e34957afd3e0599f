// Node's side of the benchmark: https with a keep-alive agent.
// usage: node.js URL CA-FILE AT-ONCE
const fs = require("fs");
const https = require("https");
const readline = require("readline");

const [url, ca, atOnce] = process.argv.slice(2);
const agent = new https.Agent({ keepAlive: true, maxSockets: +atOnce, ca: fs.readFileSync(ca) });
const headers = {
  Authorization: "Bearer RCQ1hLP4AFaUBW9BjcPUN3i4WgkwF90R",
  Accept: "application/json",
  "User-Agent": "bmwi/bench",
};
const target = new URL(url);
const options = { agent, headers, hostname: target.hostname, port: target.port, path: target.pathname };

const get = () => new Promise((resolve, reject) => {
  https.get(options, (response) => {
    const parts = [];
    response.on("data", (part) => parts.push(part));
    response.on("end", () => {
      const status = JSON.parse(Buffer.concat(parts).toString()).vehicleStatus;
      if (response.statusCode !== 200 || status.mileage !== 1234) reject(new Error("not the status"));
      else resolve();
    });
  }).on("error", reject);
});

const run = async (n) => {
  let left = n;
  const take = async () => {
    while (left-- > 0) await get();
  };
  await Promise.all(Array.from({ length: +atOnce }, take));
};

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [n, repeats] = line.split(" ").map(Number);
    const before = process.cpuUsage();
    for (let i = 0; i < repeats; i++) await run(n);
    const used = process.cpuUsage(before);
    console.log(((used.user + used.system) / 1e6).toFixed(6));
  }
  process.exit(0);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
