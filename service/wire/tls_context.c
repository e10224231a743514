/*
 * TLS context: see tls_context.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "wire/tls_context.h"

#include "base/error.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

/* What a client may ask for, the best first. */
static const unsigned char protocols[] = "\x02h2\x08http/1.1";

static int choose_protocol(SSL *ssl, const unsigned char **out,
			   unsigned char *out_len, const unsigned char *in,
			   unsigned in_len, void *arg)
{
	unsigned char *chosen;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, out_len, protocols,
				  sizeof(protocols) - 1, in,
				  in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* What OpenSSL has against a file. */
static int bad_file(struct msn_failure *why, const char *file)
{
	char text[160];

	ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
	ERR_clear_error();
	return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID, "%s: %s",
			       file, text);
}

static int load(SSL_CTX *ctx, const struct msn_tls_opts *opts,
		struct msn_failure *why)
{
	STACK_OF(X509_NAME) * names;

	if (SSL_CTX_use_certificate_chain_file(ctx, opts->certificate) != 1)
		return bad_file(why, opts->certificate);
	if (SSL_CTX_use_PrivateKey_file(ctx, opts->key, SSL_FILETYPE_PEM) != 1)
		return bad_file(why, opts->key);
	if (!opts->client_ca)
		return 0;
	if (SSL_CTX_load_verify_file(ctx, opts->client_ca) != 1)
		return bad_file(why, opts->client_ca);
	names = SSL_load_client_CA_file(opts->client_ca);
	if (!names)
		return bad_file(why, opts->client_ca);
	SSL_CTX_set_client_CA_list(ctx, names);
	SSL_CTX_set_verify(ctx,
			   SSL_VERIFY_PEER |
				   (opts->client_required
					    ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT
					    : 0),
			   NULL);
	return 0;
}

int msn_tls_context_new(SSL_CTX **out, const struct msn_tls_opts *opts,
			struct msn_failure *why)
{
	msn_auto(msn_tls_context_freep) SSL_CTX *ctx =
		SSL_CTX_new(TLS_server_method());
	int rc;

	if (!ctx)
		return msn_failure_errno(why, -ENOMEM, "TLS");
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
					 SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
	rc = load(ctx, opts, why);
	if (rc)
		return msn_pass(rc);
	*out = msn_steal(ctx);
	return 0;
}

SSL_CTX *msn_tls_context_free(SSL_CTX *ctx)
{
	SSL_CTX_free(ctx);
	return NULL;
}
