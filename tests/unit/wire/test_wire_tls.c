/*
 * TLS: who may connect, what is agreed on, and that bytes come through.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certificates.h"
#include "rig.h"

#include "base/alloc.h"
#include "support/check.h"
#include "wire/tls_context.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Longer than any buffer on the way. */
#define LONG_TEXT ((size_t)12 << 20)

static struct msn_peer seen;

static int look(void *context, struct msn_peer *peer, const char *token)
{
	(void)context;
	(void)token;
	seen = *peer;
	return 0;
}

static int metrics(void *context, char **out, size_t *len)
{
	(void)context;
	*out = msn_alloc(LONG_TEXT);
	CHECK(*out);
	for (size_t i = 0; i < LONG_TEXT; i++)
		(*out)[i] = (char)('a' + i % 23);
	*len = LONG_TEXT;
	return 0;
}

struct fixture {
	char folder[32];
	struct identity ca, server, client, other_ca, stranger;
	struct rig rig;
	SSL_CTX *context; /* the server's */
	int listener;
	/* The client. */
	SSL_CTX *ctx;
	SSL *ssl;
	int fd;
};

static void make_identities(struct fixture *f, const char *san)
{
	strcpy(f->folder, "/tmp/msn-tls-XXXXXX");
	CHECK(mkdtemp(f->folder));
	identity_make(&f->ca, f->folder, "ca", NULL, NULL);
	identity_make(&f->server, f->folder, "server", "DNS:server", &f->ca);
	identity_make(&f->client, f->folder, "client", san, &f->ca);
	identity_make(&f->other_ca, f->folder, "other", NULL, NULL);
	identity_make(&f->stranger, f->folder, "stranger", san, &f->other_ca);
}

static void setup(struct fixture *f, const char *san, bool client_required,
		  const struct msn_server_limits *limits)
{
	struct msn_server_opts opts = { .authenticate = look,
					.metrics = metrics };
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	memset(f, 0, sizeof(*f));
	memset(&seen, 0, sizeof(seen));
	make_identities(f, san);
	if (limits)
		opts.limits = *limits;
	rig_init(&f->rig, &opts);
	CHECK(msn_tls_context_new(&f->context,
				  &(struct msn_tls_opts){
					  .certificate = f->server.cert_file,
					  .key = f->server.key_file,
					  .client_ca = f->ca.cert_file,
					  .client_required = client_required },
				  NULL) == 0);
	f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(bind(f->listener, (struct sockaddr *)&sa, sizeof(sa)) == 0 &&
	      listen(f->listener, 8) == 0);
	CHECK(msn_server_listen(
		      f->rig.server,
		      &(struct msn_listen_opts){ .fd = f->listener,
						 .transport = MSN_TRANSPORT_TLS,
						 .tls = f->context },
		      NULL) == 0);
	f->ctx = SSL_CTX_new(TLS_client_method());
	CHECK(f->ctx);
	SSL_CTX_set_verify(f->ctx, SSL_VERIFY_PEER, NULL);
	CHECK(SSL_CTX_load_verify_file(f->ctx, f->ca.cert_file) == 1);
}

static void disconnect(struct fixture *f)
{
	SSL_free(f->ssl);
	f->ssl = NULL;
	close(f->fd);
	while (rig_usage(&f->rig).connections > 0)
		rig_round(&f->rig);
}

static void teardown(struct fixture *f)
{
	SSL_CTX_free(f->ctx);
	rig_deinit(&f->rig);
	msn_tls_context_free(f->context);
	identity_free(&f->ca);
	identity_free(&f->server);
	identity_free(&f->client);
	identity_free(&f->other_ca);
	identity_free(&f->stranger);
	CHECK(rmdir(f->folder) == 0);
}

static void connect_plain(struct fixture *f)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	uint64_t before = rig_usage(&f->rig).accepted;

	CHECK(getsockname(f->listener, (struct sockaddr *)&sa, &len) == 0);
	f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(connect(f->fd, (struct sockaddr *)&sa, len) == 0);
	CHECK(fcntl(f->fd, F_SETFL, O_RDWR | O_NONBLOCK) == 0);
	while (rig_usage(&f->rig).accepted == before)
		rig_round(&f->rig);
}

/* Lets the server run when the client's last step has to wait for it. */
static bool wait_for(struct fixture *f, int rc)
{
	int error = SSL_get_error(f->ssl, rc);

	if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
		return false;
	rig_round(&f->rig);
	return true;
}

/* A handshake with this certificate and these protocols; did it succeed? */
static bool connect_tls(struct fixture *f, const struct identity *id,
			const char *alpn)
{
	int rc;

	connect_plain(f);
	f->ssl = SSL_new(f->ctx);
	CHECK(f->ssl && SSL_set_fd(f->ssl, f->fd) == 1);
	SSL_set1_host(f->ssl, "server");
	if (alpn)
		SSL_set_alpn_protos(f->ssl, (const unsigned char *)alpn,
				    (unsigned)strlen(alpn));
	if (id)
		CHECK(SSL_use_certificate(f->ssl, id->cert) == 1 &&
		      SSL_use_PrivateKey(f->ssl, id->key) == 1);
	while ((rc = SSL_connect(f->ssl)) <= 0)
		if (!wait_for(f, rc))
			return false;
	return true;
}

/* Asks, and reads to the end; the length of the answer, or -1. */
static ssize_t ask(struct fixture *f, const char *request, char *answer,
		   size_t size)
{
	size_t n = 0;
	int rc;

	while ((rc = SSL_write(f->ssl, request, (int)strlen(request))) <= 0)
		if (!wait_for(f, rc))
			return -1;
	for (;;) {
		rc = SSL_read(f->ssl, answer + n, (int)(size - n));
		if (rc > 0)
			n += (size_t)rc;
		else if (SSL_get_error(f->ssl, rc) == SSL_ERROR_ZERO_RETURN)
			return (ssize_t)n;
		else if (!wait_for(f, rc))
			return -1;
	}
}

static ssize_t ask_health(struct fixture *f)
{
	char answer[1024];

	return ask(f, "GET /healthz HTTP/1.1\r\n\r\n", answer, sizeof(answer));
}

/* ---- who may connect ----------------------------------------------------- */

static void the_name_in_the_certificate_is_the_peers(void)
{
	static const struct {
		const char *san, *name;
	} cases[] = {
		{ "URI:spiffe://memsnap/alice", "spiffe://memsnap/alice" },
		{ "DNS:alice.example", "alice.example" },
		{ "IP:10.0.0.1,DNS:first.example,URI:urn:second",
		  "first.example" },
		{ "IP:10.0.0.1", "" },
		{ NULL, "" },
		/* A host that would pass for a URI, a URI that would for one.
		 */
		{ "DNS:spiffe://memsnap/alice", "" },
		{ "URI:alice.example", "" },
	};
	struct fixture f;

	for (size_t i = 0; i < MSN_ARRAY_LEN(cases); i++) {
		setup(&f, cases[i].san, true, NULL);
		CHECK(connect_tls(&f, &f.client, NULL));
		EXPECT(ask_health(&f) > 0);
		EXPECT(seen.transport == MSN_TRANSPORT_TLS);
		EXPECT(strcmp(seen.certificate, cases[i].name) == 0);
		EXPECT(strncmp(seen.address, "127.0.0.1:", 10) == 0);
		disconnect(&f);
		teardown(&f);
	}
}

/* One that does not fit is no name, not a shorter one. */
static void a_name_that_is_too_long_is_none(void)
{
	char san[300] = "URI:urn:";
	struct fixture f;

	memset(san + 8, 'x', 150);
	setup(&f, san, true, NULL);
	CHECK(connect_tls(&f, &f.client, NULL));
	EXPECT(ask_health(&f) > 0);
	EXPECT(strcmp(seen.certificate, "") == 0);
	disconnect(&f);
	teardown(&f);
}

static void without_a_certificate_one_has_no_name(void)
{
	struct fixture f;

	setup(&f, "DNS:client", false, NULL);
	CHECK(connect_tls(&f, NULL, NULL));
	EXPECT(ask_health(&f) > 0);
	EXPECT(seen.transport == MSN_TRANSPORT_TLS);
	EXPECT(strcmp(seen.certificate, "") == 0);
	disconnect(&f);
	teardown(&f);
}

/* With TLS 1.3 the client hears of it only when it reads. */
static void expect_refused(struct fixture *f, const struct identity *id)
{
	EXPECT(!connect_tls(f, id, NULL) || ask_health(f) < 0);
	EXPECT(seen.transport == 0);
	ERR_clear_error();
	disconnect(f);
}

static void strangers_are_refused(void)
{
	struct fixture f;

	setup(&f, "DNS:client", true, NULL);
	expect_refused(&f, NULL);
	expect_refused(&f, &f.stranger);
	CHECK(connect_tls(&f, &f.client, NULL) && ask_health(&f) > 0);
	disconnect(&f);
	teardown(&f);
	/* A bad certificate is not taken for none. */
	setup(&f, "DNS:client", false, NULL);
	expect_refused(&f, &f.stranger);
	teardown(&f);
}

/* ---- what is agreed on --------------------------------------------------- */

static void the_protocol_is_agreed_on(void)
{
	static const struct {
		const char *offered, *chosen;
	} cases[] = { { "\x08http/1.1\x02h2", "h2" },
		      { "\x02h2", "h2" },
		      { "\x08http/1.1", "http/1.1" },
		      { "\x03spd", NULL } };
	struct fixture f;

	setup(&f, "DNS:client", true, NULL);
	for (size_t i = 0; i < MSN_ARRAY_LEN(cases); i++) {
		const unsigned char *chosen;
		unsigned len;
		bool ok = connect_tls(&f, &f.client, cases[i].offered);

		EXPECT(ok == (cases[i].chosen != NULL));
		if (ok) {
			SSL_get0_alpn_selected(f.ssl, &chosen, &len);
			EXPECT(len == strlen(cases[i].chosen) &&
			       memcmp(chosen, cases[i].chosen, len) == 0);
			EXPECT(SSL_version(f.ssl) >= TLS1_2_VERSION);
		}
		ERR_clear_error();
		disconnect(&f);
	}
	SSL_CTX_set_min_proto_version(f.ctx, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(f.ctx, TLS1_1_VERSION);
	EXPECT(!connect_tls(&f, &f.client, NULL));
	ERR_clear_error();
	disconnect(&f);
	teardown(&f);
}

static void a_long_answer_comes_through_whole(void)
{
	char *answer = malloc(LONG_TEXT + 1024);
	struct fixture f;
	ssize_t n;

	CHECK(answer);
	setup(&f, "DNS:client", true, NULL);
	CHECK(connect_tls(&f, &f.client, NULL));
	n = ask(&f, "GET /metrics HTTP/1.1\r\n\r\n", answer, LONG_TEXT + 1024);
	CHECK(n > (ssize_t)LONG_TEXT);
	for (size_t i = 0; i < LONG_TEXT; i++)
		CHECK(answer[(size_t)n - LONG_TEXT + i] ==
		      (char)('a' + i % 23));
	disconnect(&f);
	teardown(&f);
	free(answer);
}

/* ---- who does not speak it ----------------------------------------------- */

static void expect_end(struct fixture *f)
{
	char bytes[256];
	ssize_t n;

	while ((n = read(f->fd, bytes, sizeof(bytes))) != 0 &&
	       (n > 0 || errno == EAGAIN))
		if (n < 0)
			rig_round(&f->rig);
	EXPECT(n == 0 || errno == ECONNRESET);
	EXPECT(seen.transport == 0);
	disconnect(f);
}

static void who_does_not_speak_tls_is_closed(void)
{
	static const char *const words[] = { "GET /metrics HTTP/1.1\r\n\r\n",
					     "PRI * HTTP/2.0\r\n\r\n",
					     "\x16\x03\x01\x00\x05hello" };
	struct fixture f;

	setup(&f, "DNS:client", true, NULL);
	for (size_t i = 0; i < MSN_ARRAY_LEN(words); i++) {
		connect_plain(&f);
		CHECK(write(f.fd, words[i], strlen(words[i])) > 0);
		expect_end(&f);
	}
	teardown(&f);
}

static void half_a_handshake_is_not_waited_for(void)
{
	struct fixture f;

	setup(&f, "DNS:client", true,
	      &(struct msn_server_limits){ .hello_ms = 30 });
	connect_plain(&f);
	CHECK(write(f.fd, "\x16\x03\x01\x02\x00\x01", 6) == 6);
	expect_end(&f);
	teardown(&f);
}

/* ---- files --------------------------------------------------------------- */

static void a_file_that_is_no_good_is_named(void)
{
	struct msn_failure why = { 0 };
	struct msn_tls_opts opts;
	struct fixture f;
	SSL_CTX *ctx = NULL;

	setup(&f, "DNS:client", true, NULL);
	opts = (struct msn_tls_opts){ .certificate = "/nowhere.pem",
				      .key = f.server.key_file };
	EXPECT(msn_tls_context_new(&ctx, &opts, &why) == -EINVAL);
	EXPECT(strstr(why.text, "/nowhere.pem:") == why.text);
	opts.certificate = f.server.cert_file;
	opts.key = f.client.key_file; /* of another */
	why = (struct msn_failure){ 0 };
	EXPECT(msn_tls_context_new(&ctx, &opts, &why) == -EINVAL);
	EXPECT(strstr(why.text, f.client.key_file) == why.text);
	opts.key = f.server.key_file;
	opts.client_ca = f.server.key_file; /* no certificate */
	why = (struct msn_failure){ 0 };
	EXPECT(msn_tls_context_new(&ctx, &opts, &why) == -EINVAL);
	EXPECT(strstr(why.text, f.server.key_file) == why.text);
	EXPECT(!ctx);
	teardown(&f);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(the_name_in_the_certificate_is_the_peers),
		CHECK_TEST(a_name_that_is_too_long_is_none),
		CHECK_TEST(without_a_certificate_one_has_no_name),
		CHECK_TEST(strangers_are_refused),
		CHECK_TEST(the_protocol_is_agreed_on),
		CHECK_TEST(a_long_answer_comes_through_whole),
		CHECK_TEST(who_does_not_speak_tls_is_closed),
		CHECK_TEST(half_a_handshake_is_not_waited_for),
		CHECK_TEST(a_file_that_is_no_good_is_named),
		{}
	};

	return check_main(argc, argv, "wire: TLS", tests);
}
