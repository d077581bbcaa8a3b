#!/bin/sh
# Makes the certificates in certificates/ that the tests of identity/certificate.hpp must judge:
# one for each kind of key, by OpenSSL, so that they owe nothing to our code. Existing ones are kept.
set -eu
cd "$(dirname "$0")/certificates"
key=$(mktemp)
signer=$(mktemp)
trap 'rm -f "$key" "$signer"' EXIT
openssl genpkey -algorithm ed25519 -out "$signer"

make() { # name, then the arguments of `openssl genpkey`
  name=$1
  shift
  [ -e "$name.der" ] && return
  openssl genpkey "$@" -out "$key"
  openssl req -new -x509 -key "$key" -subj "/CN=$name" -days 36500 -outform DER -out "$name.der"
}
make ed25519 -algorithm ed25519
make rsa -algorithm rsa -pkeyopt rsa_keygen_bits:2048
make rsa_pss -algorithm rsa-pss -pkeyopt rsa_keygen_bits:2048
make p256 -algorithm ec -pkeyopt ec_paramgen_curve:P-256
make p521 -algorithm ec -pkeyopt ec_paramgen_curve:P-521
make ed448 -algorithm ed448

# An X25519 key cannot sign: another key signs for it.
if [ ! -e x25519.der ]; then
  openssl genpkey -algorithm x25519 -out "$key"
  openssl pkey -in "$key" -pubout -out "$key.pub"
  openssl req -new -key "$signer" -subj "/CN=x25519" |
    openssl x509 -req -key "$signer" -force_pubkey "$key.pub" -days 36500 \
      -outform DER -out x25519.der
  rm -f "$key.pub"
fi

# Sound, with an Ed25519 key, and larger than we accept.
if [ ! -e large.der ]; then
  comment=$(printf '%05000d' 0)
  openssl req -new -x509 -key "$signer" -subj "/CN=large" -days 36500 \
    -addext "nsComment=$comment" -outform DER -out large.der
fi

# The key of ed25519.der as OpenSSL reads it.
openssl x509 -inform DER -in ed25519.der -noout -pubkey |
  openssl pkey -pubin -outform DER | tail -c 32 | od -An -v -tx1 | tr -d ' \n' >ed25519.key.hex
echo >>ed25519.key.hex
