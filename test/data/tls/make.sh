#!/bin/sh
# Makes the certificates and keys that the tests read, in the directory given.
# They are kept in the repository: run it only when they must change.
set -e
cd "$1"
days=36500
subject() { echo "/O=lhttpd test/CN=$1"; }
config() { printf 'subjectAltName=DNS:%s\n' "$(echo "$1" | sed 's/ /,DNS:/g')"; }

# A root, and an intermediate for the chain.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -days $days -keyout root.key -out root.pem -subj "$(subject root)"
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout middle.key -out middle.csr -subj "$(subject middle)"
echo 'basicConstraints=critical,CA:true' >middle.cnf
openssl x509 -req -in middle.csr -CA root.pem -CAkey root.key -days $days \
    -set_serial 2 -extfile middle.cnf -out middle.pem

# leaf NAME KEYOPTIONS NAMES: NAME.key, NAME.pem, signed by the intermediate.
leaf() {
    name=$1 names=$3
    # shellcheck disable=SC2086
    openssl genpkey $2 -out "$name.key"
    openssl req -new -key "$name.key" -out "$name.csr" -subj "$(subject "$name")"
    config "$names" >"$name.cnf"
    openssl x509 -req -in "$name.csr" -CA middle.pem -CAkey middle.key \
        -days $days -set_serial "$(printf %d "'$name")" -extfile "$name.cnf" \
        -out "$name.pem"
    cat middle.pem >>"$name.pem"
}
ec="-algorithm EC -pkeyopt ec_paramgen_curve"
leaf ec256 "$ec:P-256" "a.example.org A2.example.org"
leaf ec384 "$ec:P-384" "*.example.net b.example.org"
leaf ec521 "$ec:P-521" "c.example.org"
leaf rsa2048 "-algorithm RSA -pkeyopt rsa_keygen_bits:2048" "a.example.org r.example.org"
leaf rsa4096 "-algorithm RSA -pkeyopt rsa_keygen_bits:4096" "big.example.org"
leaf rsa1024 "-algorithm RSA -pkeyopt rsa_keygen_bits:1024" "weak.example.org"
leaf ed25519 "-algorithm ED25519" "ed.example.org"
leaf secp256k1 "$ec:secp256k1" "k.example.org"

# No alternative name: the common name counts.
openssl req -x509 -key ec256.key -days $days -out common.pem -subj /CN=Common.example.org

# The other forms of a key.
openssl ec -in ec256.key -out ec256-sec1.key
openssl rsa -in rsa2048.key -traditional -out rsa2048-pkcs1.key
openssl pkey -in ec256.key -outform DER -out ec256.key.der
openssl rsa -in rsa2048.key -traditional -outform DER -out rsa2048.key.der
openssl x509 -in ec256.pem -outform DER -out ec256.der
openssl pkcs8 -topk8 -in ec256.key -passout pass:x -out encrypted-pkcs8.key
openssl rsa -in rsa2048.key -traditional -aes128 -passout pass:x -out encrypted-pkcs1.key
cat ec256.key ec256.pem >both.pem
openssl x509 -in middle.pem -trustout -addtrust serverAuth -out trusted.pem

# Damage.
head -c 300 ec256.pem >cut.pem
head -c 120 ec256.key >cut.key
: >empty.pem
echo 'This is no certificate.' >garbage.pem
{ echo '-----BEGIN CERTIFICATE-----'; echo 'AAAA'; echo '-----END CERTIFICATE-----'; } >nonsense.pem
{ cat middle.pem; cat ec256.pem; } >order.pem
rm -f ./*.csr ./*.cnf root.key middle.key
