/*
 * TLS of one connection: OpenSSL over a socket that does not block.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * OpenSSL's own socket BIO writes with write(), which would raise SIGPIPE in a
 * program that has not asked for it to be ignored: bytes go through a BIO here
 * that uses send().
 */
#include "wire/tls.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fault.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* One record of TLS: what is written at once. */
#define RECORD_BYTES 16384

struct tls {
	SSL *ssl;
	bool open;
	bool wants_write;
};

/* ---- a BIO that raises no signal ----------------------------------------- */

static int bio_result(BIO *b, ssize_t n, int retry)
{
	BIO_clear_retry_flags(b);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_flags(b, retry | BIO_FLAGS_SHOULD_RETRY);
	return (int)n;
}

static int bio_fd(BIO *b)
{
	return (int)(intptr_t)BIO_get_data(b);
}

static int bio_read(BIO *b, char *buf, int len)
{
	return bio_result(b, recv(bio_fd(b), buf, (size_t)len, MSG_DONTWAIT),
			  BIO_FLAGS_READ);
}

static int bio_write(BIO *b, const char *buf, int len)
{
	return bio_result(
		b,
		send(bio_fd(b), buf, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL),
		BIO_FLAGS_WRITE);
}

static long bio_ctrl(BIO *b, int command, long number, void *p)
{
	(void)b;
	(void)number;
	(void)p;
	return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method;

static void make_bio_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOCKET, "msn");

	if (m && BIO_meth_set_read(m, bio_read) &&
	    BIO_meth_set_write(m, bio_write) && BIO_meth_set_ctrl(m, bio_ctrl))
		bio_method = m;
	else
		BIO_meth_free(m);
}

static BIO *bio_new(int fd)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	BIO *b;

	pthread_once(&once, make_bio_method);
	b = bio_method ? BIO_new(bio_method) : NULL;
	if (b) {
		BIO_set_data(b, (void *)(intptr_t)fd);
		BIO_set_init(b, 1);
	}
	return b;
}

/* ---- life ---------------------------------------------------------------- */

int tls_new(struct tls **out, SSL_CTX *ctx, int fd)
{
	struct tls *t = msn_alloc(sizeof(*t));
	BIO *bio = NULL;

	if (t) {
		t->ssl = msn_fault("tls.ssl") ? NULL : SSL_new(ctx);
		bio = t->ssl ? bio_new(fd) : NULL;
	}
	if (!bio) {
		tls_free(t);
		return msn_fail(-ENOMEM);
	}
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_accept_state(t->ssl);
	/* The queue's bytes may lie elsewhere when a write is repeated, and an
	 * idle connection keeps no buffers. */
	SSL_set_mode(t->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
				     SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				     SSL_MODE_RELEASE_BUFFERS);
	*out = t;
	return 0;
}

struct tls *tls_free(struct tls *t)
{
	if (t) {
		SSL_free(t->ssl);
		free(t);
	}
	return NULL;
}

/* ---- bytes --------------------------------------------------------------- */

/* What a call of OpenSSL that returned @rc means. */
static ssize_t result(struct tls *t, int rc)
{
	int error;

	t->wants_write = false;
	if (rc > 0)
		return rc;
	error = SSL_get_error(t->ssl, rc);
	ERR_clear_error();
	switch (error) {
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_WANT_WRITE:
		t->wants_write = true;
		return -EAGAIN;
	case SSL_ERROR_WANT_READ:
		return -EAGAIN;
	default:
		return -EPROTO;
	}
}

int tls_handshake(struct tls *t)
{
	ssize_t rc;

	ERR_clear_error();
	rc = result(t, SSL_accept(t->ssl));
	if (rc == -EAGAIN)
		return -EAGAIN;
	if (rc <= 0)
		return msn_fail(-EPROTO);
	t->open = true;
	return 0;
}

bool tls_is_open(const struct tls *t)
{
	return t->open;
}

ssize_t tls_read(struct tls *t, void *buf, size_t len)
{
	ERR_clear_error();
	return result(t, SSL_read(t->ssl, buf,
				  len < INT32_MAX ? (int)len : INT32_MAX));
}

ssize_t tls_write(struct tls *t, const struct iovec *iov, size_t count)
{
	uint8_t record[RECORD_BYTES];
	size_t len = 0;
	ssize_t n;

	for (size_t i = 0; i < count && len < sizeof(record); i++) {
		size_t part = iov[i].iov_len;

		if (part > sizeof(record) - len)
			part = sizeof(record) - len;
		memcpy(record + len, iov[i].iov_base, part);
		len += part;
	}
	ERR_clear_error();
	n = result(t, SSL_write(t->ssl, record, (int)len));
	return n == 0 ? -EPIPE : n;
}

bool tls_has_more(const struct tls *t)
{
	return SSL_has_pending(t->ssl);
}

bool tls_wants_write(const struct tls *t)
{
	return t->wants_write;
}

void tls_goodbye(struct tls *t)
{
	if (t->open) {
		ERR_clear_error();
		SSL_shutdown(t->ssl);
		ERR_clear_error();
	}
}

/* ---- who it is ----------------------------------------------------------- */

/*
 * Is this a name that can be told from all others?  One with a zero in it goes
 * on behind what a comparison sees; a colon tells URIs from DNS names, and who
 * signed one that looks like the other is not to be believed.
 */
static bool is_name(const GENERAL_NAME *n, size_t size)
{
	const unsigned char *text = ASN1_STRING_get0_data(n->d.ia5);
	size_t len = (size_t)ASN1_STRING_length(n->d.ia5);

	return len > 0 && len < size && !memchr(text, '\0', len) &&
	       (n->type == GEN_URI) == !!memchr(text, ':', len);
}

/* The first URI or DNS name of a certificate; false: it has none. */
static bool find_name(X509 *cert, char *out, size_t size)
{
	GENERAL_NAMES *names =
		X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; !found && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);
		size_t len;

		if (n->type != GEN_URI && n->type != GEN_DNS)
			continue;
		found = is_name(n, size);
		if (!found)
			break;
		len = (size_t)ASN1_STRING_length(n->d.ia5);
		memcpy(out, ASN1_STRING_get0_data(n->d.ia5), len);
		out[len] = '\0';
	}
	GENERAL_NAMES_free(names);
	return found;
}

void tls_identify(const struct tls *t, struct msn_peer *peer)
{
	X509 *cert = SSL_get1_peer_certificate(t->ssl);

	peer->certificate[0] = '\0';
	if (cert && SSL_get_verify_result(t->ssl) == X509_V_OK)
		find_name(cert, peer->certificate, sizeof(peer->certificate));
	X509_free(cert);
}
