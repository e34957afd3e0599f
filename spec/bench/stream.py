# paho's side of the stream's benchmark: counts the messages received, and with `decode` decodes
# them as JSON. A worker, see worker.h.
# usage: stream.py PORT CA-FILE TOPIC [decode]
import json
import resource
import sys

import paho.mqtt.client as mqtt

port, ca, topic = int(sys.argv[1]), sys.argv[2], sys.argv[3]
decodes = len(sys.argv) > 4
received = 0
subscribed = False


def on_message(_client, _user, message):
    global received
    received += 1
    if decodes:
        json.loads(message.payload)


def on_subscribe(*_):
    global subscribed
    subscribed = True


def processor():
    use = resource.getrusage(resource.RUSAGE_SELF)
    return use.ru_utime + use.ru_stime


name = "paho-decoding" if decodes else "paho"
# paho 2 takes the version of the callbacks first; those used here have not changed.
versions = getattr(mqtt, "CallbackAPIVersion", None)
first = [versions.VERSION2] if versions else []
client = mqtt.Client(*first, client_id=name, protocol=mqtt.MQTTv5)
client.tls_set(ca)
client.on_message = on_message
client.on_subscribe = on_subscribe
client.connect("127.0.0.1", port, 30)
client.loop()
client.subscribe(topic)
while not subscribed:
    client.loop()
for line in sys.stdin:
    n, repeats = map(int, line.split())
    before = processor()
    for _ in range(repeats):
        received = 0
        while received < n:
            if client.loop() != 0:
                sys.exit("lost the connection to the broker")
    print("%.6f" % (processor() - before), flush=True)
