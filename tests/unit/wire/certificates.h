/*
 * Keys and certificates for tests, made on the spot.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_WIRE_CERTIFICATES_H
#define MSN_TESTS_WIRE_CERTIFICATES_H

#include <openssl/x509.h>

/* A key, its certificate, and both as files below a folder. */
struct identity {
	EVP_PKEY *key;
	X509 *cert;
	char key_file[128], cert_file[128];
};

/* @san as openssl has it: "URI:spiffe://a/b", "DNS:host"; NULL: none.
 * @issuer NULL: signs itself and may sign others. */
void identity_make(struct identity *id, const char *folder, const char *name,
		   const char *san, const struct identity *issuer);
void identity_free(struct identity *id);

#endif /* MSN_TESTS_WIRE_CERTIFICATES_H */
