/*
 * Keys and certificates for tests.  See certificates.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certificates.h"

#include "support/check.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	CHECK(e && X509_add_ext(cert, e, -1) == 1);
	X509_EXTENSION_free(e);
}

static void write_files(struct identity *id, const char *folder,
			const char *name)
{
	FILE *f;

	snprintf(id->key_file, sizeof(id->key_file), "%s/%s.key", folder, name);
	snprintf(id->cert_file, sizeof(id->cert_file), "%s/%s.pem", folder,
		 name);
	f = fopen(id->key_file, "we");
	CHECK(f && PEM_write_PrivateKey(f, id->key, NULL, NULL, 0, NULL, NULL));
	fclose(f);
	f = fopen(id->cert_file, "we");
	CHECK(f && PEM_write_X509(f, id->cert));
	fclose(f);
}

void identity_make(struct identity *id, const char *folder, const char *name,
		   const char *san, const struct identity *issuer)
{
	X509 *signer = issuer ? issuer->cert : NULL;
	X509_NAME *subject;
	static long serial;

	id->key = EVP_EC_gen("P-256");
	id->cert = X509_new();
	CHECK(id->key && id->cert);
	if (!signer)
		signer = id->cert;
	X509_set_version(id->cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(id->cert), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(id->cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(id->cert), 3600);
	subject = X509_get_subject_name(id->cert);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
				   (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(id->cert, X509_get_subject_name(signer));
	X509_set_pubkey(id->cert, id->key);
	if (!issuer)
		add_extension(id->cert, signer, NID_basic_constraints,
			      "critical,CA:TRUE");
	if (san)
		add_extension(id->cert, signer, NID_subject_alt_name, san);
	CHECK(X509_sign(id->cert, issuer ? issuer->key : id->key,
			EVP_sha256()) > 0);
	write_files(id, folder, name);
}

void identity_free(struct identity *id)
{
	EVP_PKEY_free(id->key);
	X509_free(id->cert);
	remove(id->key_file);
	remove(id->cert_file);
}
