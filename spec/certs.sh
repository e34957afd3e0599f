#!/bin/sh
# Makes the certificates of the tests in build/certs (or in the folder given). Does nothing if they
# are there. All are for loopback tests only; each certificate NAME.pem has its key in NAME.key.
#   ca          the authority the tests trust
#   server      good: localhost, 127.0.0.1, ::1 and the names of the real service
#   expired     as server, but over since long ago
#   wrong-host  for another host
#   no-name     trusted, but names no host at all
#   self-signed signed by nobody else
#   other-ca    good names, from an authority the tests do not trust
set -eu

target=${1:-$(dirname "$0")/../build/certs}
if [ -f "$target/complete" ]; then
  exit 0
fi
mkdir -p "$(dirname "$target")"
work=$target.$$
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
rm -rf "$work"
mkdir -p "$work"
here=$(pwd)
cd "$work"

cat > ca.cnf <<'END'
[req]
distinguished_name = name
prompt = no
[name]
CN = bmwi test
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = CA:FALSE
subjectAltName = DNS:localhost,IP:127.0.0.1,IP:::1,DNS:b2vapi.bmwgroup.com,\
DNS:b2vapi.bmwgroup.us,DNS:b2vapi.bmwgroup.cn,DNS:www.bmw-connecteddrive.de
[elsewhere]
basicConstraints = CA:FALSE
subjectAltName = DNS:elsewhere.example.org
[nameless]
basicConstraints = CA:FALSE
[ca]
default_ca = signer
[signer]
dir = .
new_certs_dir = .
database = index.txt
serial = serial.txt
default_md = sha256
policy = any
[any]
commonName = supplied
END
: > index.txt
echo 01 > serial.txt

# request NAME COMMON-NAME: a key and a signing request.
request() {
  openssl ecparam -name prime256v1 -genkey -noout -out "$1.ec" &&
  openssl pkcs8 -topk8 -nocrypt -in "$1.ec" -out "$1.key" &&
  openssl req -new -sha256 -config ca.cnf -key "$1.key" -subj "/CN=$2" -out "$1.csr" &&
  rm -f "$1.ec"
} 2>> openssl.log

# sign NAME EXTENSIONS AUTHORITY [START END]: the dates are YYMMDDHHMMSSZ.
sign() {
  openssl ca -batch -notext -config ca.cnf -extensions "$2" -cert "$3.pem" -keyfile "$3.key" \
    -startdate "${4:-200101000000Z}" -enddate "${5:-491231235959Z}" \
    -in "$1.csr" -out "$1.pem" 2>> openssl.log
}

# own NAME EXTENSIONS: signs itself.
own() {
  openssl ca -batch -notext -config ca.cnf -extensions "$2" -selfsign -keyfile "$1.key" \
    -startdate 200101000000Z -enddate 491231235959Z -in "$1.csr" -out "$1.pem" 2>> openssl.log
}

if ! {
  request ca "bmwi test authority" && own ca authority &&
  request unknown "bmwi unknown authority" && own unknown authority &&
  request server "bmwi test server" && sign server server ca &&
  request expired "bmwi expired server" && sign expired server ca 200101000000Z 200201000000Z &&
  request wrong-host elsewhere.example.org && sign wrong-host elsewhere ca &&
  request no-name "bmwi nameless server" && sign no-name nameless ca &&
  request self-signed localhost && own self-signed server &&
  request other-ca "bmwi other server" && sign other-ca server unknown
}; then
  echo "certs.sh: openssl failed:" >&2
  cat openssl.log >&2
  exit 1
fi
rm -f ./*.csr ./*.cnf ./index.txt* ./serial.txt* ./0*.pem ./openssl.log unknown.key
mv unknown.pem other-ca-authority.pem
: > complete
cd "$here"

# Another run may have been quicker; its certificates are as good.
if [ ! -f "$target/complete" ]; then
  rm -rf "$target"
  mv "$work" "$target" 2> /dev/null || test -f "$target/complete"
fi
