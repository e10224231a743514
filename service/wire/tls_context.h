/*
 * TLS context: what a listener's connections share.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * TLS 1.2 and later, ALPN h2 (http/1.1 for scrapers), no renegotiation and no
 * sessions: a connection is long, and nothing of it is kept after its end.
 */
#ifndef MSN_WIRE_TLS_CONTEXT_H
#define MSN_WIRE_TLS_CONTEXT_H

#include "base/cleanup.h"
#include "base/failure.h"

#include <stdbool.h>

struct ssl_ctx_st; /* OpenSSL's SSL_CTX, for struct msn_listen_opts */

struct msn_tls_opts {
	const char *certificate; /* file: PEM, the server's first */
	const char *key;	 /* file: PEM */
	const char *client_ca;	 /* file: PEM, who signs clients; NULL: no
				    client is asked for a certificate */
	bool client_required;	 /* none without a certificate is served */
};

/* The failure names the file that is no good. */
MSN_MUST_CHECK int msn_tls_context_new(struct ssl_ctx_st **out,
				       const struct msn_tls_opts *opts,
				       struct msn_failure *why);
struct ssl_ctx_st *msn_tls_context_free(struct ssl_ctx_st *ctx);
MSN_DEFINE_AUTO(struct ssl_ctx_st, msn_tls_context_free)

#endif /* MSN_WIRE_TLS_CONTEXT_H */
