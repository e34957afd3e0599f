"""What clients of the real service sent in its time, in their words and with Python's own library:
one in the manner of 2015, one in that of 2018, one that put a body into a GET. All they are told is
where the server is and, for TLS, whom to trust. Raises when an answer is not what they lived on.

usage: python3 old_clients.py URL [CA-FILE]
"""
import base64
import json
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

SERVER = sys.argv[1]
TLS = ssl.create_default_context(cafile=sys.argv[2]) if len(sys.argv) > 2 else None
BASIC = "Basic " + base64.b64encode(b"key:secret").decode()
VEHICLES = "/webapi/v1/user/vehicles"


def send(path, headers, form=None, method=None):
    """-> status, headers, bytes"""
    data = None if form is None else urllib.parse.urlencode(form).encode()
    request = urllib.request.Request(SERVER + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30, context=TLS) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def must(condition, what):
    if not condition:
        raise SystemExit("old client: " + what)


def cars_of(answer):
    """Some read an object, some an array; the service changed its mind."""
    return answer["vehicles"] if isinstance(answer, dict) else answer


def log_in(path, scope, agent):
    status, _, body = send(path, {"Authorization": BASIC, "User-Agent": agent}, {
        "grant_type": "password", "username": "whatever@example.com", "password": "p4ssw0rd",
        "scope": scope})
    must(status == 200, f"{path} answered {status}")
    token = json.loads(body)
    must(token["token_type"] == "Bearer", "not a bearer token")
    must(time.time() + token["expires_in"] > time.time(), "it has ended already")
    return token


class Client2015:
    """Every answer is JSON, every path is below /webapi/v1; waits while INITIATED or PENDING."""

    agent = "MCVApp/1.5.2 (iPhone; iOS 9.1; Scale/2.00)"

    def __init__(self, token_path):
        token = log_in(token_path, "remote_services vehicle_data", self.agent)
        self.headers = {"Authorization": "Bearer " + token["access_token"],
                        "User-Agent": self.agent}

    def call(self, path, form=None):
        return json.loads(send("/webapi/v1" + path, self.headers, form)[2])

    def run(self):
        car = cars_of(self.call("/user/vehicles/"))[0]
        here = "/user/vehicles/" + car["vin"]
        status = self.call(here + "/status")["vehicleStatus"]
        must(isinstance(status["mileage"], int), "no mileage")
        sent = self.call(here + "/executeService", {"serviceType": "LIGHT_FLASH", "count": 2})
        must(sent["executionStatus"]["eventId"], "no event")
        query = "/serviceExecutionStatus?serviceType=LIGHT_FLASH"
        for _ in range(200):
            state = self.call(here + query)["executionStatus"]["status"]
            if state not in ("INITIATED", "PENDING"):
                break
            time.sleep(0.02)
        must(state in ("DELIVERED", "EXECUTED"), "the lights: " + state)


class Client2018:
    """Asks for JSON, tells the time and the place with the status, and goes on until EXECUTED."""

    def __init__(self, token_path):
        token = log_in(token_path, "authenticate_user vehicle_data remote_services", "okhttp/2.60")
        must(len(token["access_token"]) == 32, "a strange token")
        refreshed = json.loads(send(token_path, {"Authorization": BASIC}, {
            "grant_type": "refresh_token", "refresh_token": token["refresh_token"]})[2])
        must(refreshed["refresh_token"] != token["refresh_token"], "no new refresh token")
        self.headers = {"accept": "application/json", "Referer": "https://www.example.com/app",
                        "Authorization": "Bearer " + refreshed["access_token"]}

    def get(self, path, member):
        status, headers, body = send(path, self.headers)
        must(status == 200, f"{path} answered {status}")
        must(headers.get_content_type() == "application/json", path + " is not JSON")
        return json.loads(body)[member]

    def run(self):
        status, _, body = send(VEHICLES, self.headers)
        must(status == 200, f"the list answered {status}")
        here = f"{VEHICLES}/{cars_of(json.loads(body))[0]['vin']}"
        query = urllib.parse.urlencode({"deviceTime": time.strftime("%Y-%m-%dT%H:%M:%S"),
                                        "dlat": "51.5", "dlon": "-1.2", "nobody": "knows this"})
        self.get(f"{here}/status?{query}", "vehicleStatus")
        for path, member in (("statistics/lastTrip", "lastTrip"), ("destinations", "destinations"),
                             ("statistics/allTrips", "allTrips"), ("rangemap", "rangemap"),
                             ("chargingprofile", "weeklyPlanner")):
            self.get(f"{here}/{path}?{query}", member)
        picture = send(f"{here}/image?width=400&height=400&view=FRONTSIDE",
                       dict(self.headers, accept="image/png"))
        must(picture[2].startswith(b"\x89PNG"), "no picture")
        self.lock(here)
        poi = {"lat": 48.1769, "lon": 11.5569, "name": "M\u00fcnchen & \"Welt\" \U0001f600",
               "phoneNumbers": ["+49 89 1250160 01"]}
        sent = send(here + "/sendpoi", self.headers, {"data": json.dumps({"poi": poi})})
        must(sent[0] == 204 and sent[2] == b"", f"sendpoi answered {sent[0]}")
        latest = self.get(here + "/destinations", "destinations")[0]
        must(abs(latest["lat"] - 48.1769) < 1e-5, "the place did not arrive")

    def lock(self, here):
        must(send(here + "/executeService", self.headers)[0] == 405, "a command by GET")
        status, _, body = send(here + "/executeService", self.headers,
                               {"serviceType": "DOOR_LOCK"})
        must(status == 200, f"executeService answered {status}")
        event = json.loads(body)["executionStatus"]
        must(event["status"] in ("INITIATED", "PENDING"), "a strange beginning")
        for _ in range(200):
            now = self.get(here + "/serviceExecutionStatus?serviceType=DOOR_LOCK",
                           "executionStatus")
            must(now["eventId"] == event["eventId"], "another event")
            if now["status"] == "EXECUTED":
                break
            time.sleep(0.02)
        must(now["status"] == "EXECUTED", "the doors: " + now["status"])
        must(self.get(here + "/status", "vehicleStatus")["doorLockState"] == "LOCKED", "not locked")


def client_2016():
    """Sent the time as the body of a GET, and blanks as %20."""
    form = urllib.parse.urlencode({
        "grant_type": "password", "username": "whatever@example.com", "password": "p4ssw0rd",
        "scope": "remote_services vehicle_data"}, quote_via=urllib.parse.quote)
    request = urllib.request.Request(SERVER + "/webapi/oauth/token", form.encode(),
                                     {"Authorization": BASIC})
    with urllib.request.urlopen(request, timeout=30, context=TLS) as answer:
        token = json.load(answer)
    headers = {"Authorization": "Bearer " + token["access_token"]}
    vin = cars_of(json.loads(send(VEHICLES, headers)[2]))[0]["vin"]
    status, _, body = send(f"{VEHICLES}/{vin}/status", headers,
                           {"deviceTime": "2016-05-10T12:00:00"}, "GET")
    must(status == 200 and json.loads(body)["vehicleStatus"]["vin"] == vin, "a GET with a body")


for path in ("/webapi/oauth/token", "/webapi/oauth/token/", "/gcdm/oauth/token",
             "/gcdm/oauth/token/"):
    Client2015(path).run()
    Client2018(path).run()
client_2016()
print("all as it was")
