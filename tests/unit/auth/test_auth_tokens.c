/*
 * Tokens: their file, what callers send, and how they are made.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "auth_scene.h"
#include "support/check.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IS(text, want) EXPECT(strcmp((text), (want)) == 0)
#define CONFIG "[roles]\ntokens = %/tokens\noperate =\n"

/* As in the documentation: anybody can make a line with other tools. */
#define SALT "000102030405060708090a0b0c0d0e0f"
#define SECRET "correct-horse-battery-staple"

/* The SHA-256 of salt and secret, by the library itself. */
static void hash_of(const char *secret, char out[65])
{
	uint8_t bytes[16 + 128], hash[32];

	for (unsigned i = 0; i < 16; i++)
		bytes[i] = (uint8_t)i;
	memcpy(bytes + 16, secret, strlen(secret));
	CHECK(EVP_Digest(bytes, 16 + strlen(secret), hash, NULL, EVP_sha256(),
			 NULL) == 1);
	for (unsigned i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02X", hash[i]);
}

static void a_token_is_its_tenant_with_its_role(void)
{
	char hash[65], text[512];
	struct scene s;

	hash_of(SECRET, hash);
	snprintf(text, sizeof(text),
		 "# who\n\n  ci-1 read tenant:acme sha256:" SALT ":%s\r\n"
		 "b\tadmin\ttenant:b.b\tsha256:" SALT ":%s",
		 hash, hash);
	scene_open(&s, "");
	scene_file(&s, "tokens", text, 0600);
	CHECK(scene_reload(&s, CONFIG) == 0);
	IS(judged(&s, stranger(""), "ci-1." SECRET), "tenant:acme read");
	IS(judged(&s, stranger("x.example"), "b." SECRET), "tenant:b.b admin");
	/* Also instead of what the kernel knows, and for less. */
	IS(judged(&s, process(0, 0, NULL, 0), "ci-1." SECRET),
	   "tenant:acme read");
	scene_close(&s);
}

static void what_is_no_token_is_refused(void)
{
	static const char *const bad[] = {
		"",
		".",
		"a",
		"a.",
		"a." SECRET "x",
		"a.correct-horse-battery-stapl",
		"a.Correct-horse-battery-staple",
		"aa." SECRET,
		"A." SECRET,
		"." SECRET,
		" a." SECRET,
		"a.a." SECRET,
		"a.short",
		"abcdefghijklmnopqrstuvwxyzabcdefg." SECRET,
	};
	char hash[65], text[512], many[300];
	struct scene s;

	hash_of(SECRET, hash);
	snprintf(text, sizeof(text),
		 "a read tenant:a sha256:" SALT ":%s\n"
		 "c read tenant:c sha256:" SALT ":%s\n",
		 hash, hash);
	scene_open(&s, "");
	scene_file(&s, "tokens", text, 0600);
	CHECK(scene_reload(&s, CONFIG) == 0);
	IS(judged(&s, stranger(""), "a." SECRET), "tenant:a read");
	for (size_t i = 0; i < MSN_ARRAY_LEN(bad); i++)
		IS(judged(&s, stranger(""), bad[i]), "refused");
	memset(many, 'x', sizeof(many) - 1);
	many[sizeof(many) - 1] = '\0';
	memcpy(many, "a.", 2);
	IS(judged(&s, stranger(""), many), "refused");
	scene_close(&s);
}

/* One that is too short is no token, even if somebody made a line of it. */
static void a_secret_that_can_be_guessed_is_refused(void)
{
	char hash[65], text[512];
	struct scene s;

	hash_of("hunter2", hash);
	snprintf(text, sizeof(text), "a read tenant:a sha256:" SALT ":%s\n",
		 hash);
	scene_open(&s, "");
	scene_file(&s, "tokens", text, 0600);
	CHECK(scene_reload(&s, CONFIG) == 0);
	IS(judged(&s, stranger(""), "a.hunter2"), "refused");
	scene_close(&s);
}

static void without_a_file_there_are_no_tokens(void)
{
	struct scene s;

	scene_open(&s, "");
	IS(judged(&s, stranger(""), "a." SECRET), "refused");
	scene_close(&s);
}

static void what_is_made_is_taken(void)
{
	char token[MSN_TOKEN_BYTES], again[MSN_TOKEN_BYTES];
	char line[MSN_TOKEN_LINE], tenant[64], id[33], want[128];
	struct scene s;

	memset(tenant, 't', 63);
	tenant[63] = '\0';
	memset(id, 'i', 32);
	id[32] = '\0';
	scene_open(&s, "");
	CHECK(msn_auth_make_token(id, MSN_ROLE_OPERATE, tenant, token, line,
				  NULL) == 0);
	EXPECT(strncmp(token, id, 32) == 0 && strlen(token) == 32 + 1 + 43);
	EXPECT(!strstr(line, token + 33));
	scene_file(&s, "tokens", line, 0640);
	CHECK(scene_reload(&s, CONFIG) == 0);
	snprintf(want, sizeof(want), "tenant:%s operate", tenant);
	IS(judged(&s, stranger(""), token), want);
	/* Another one of the same id is another. */
	CHECK(msn_auth_make_token(id, MSN_ROLE_OPERATE, tenant, again, line,
				  NULL) == 0);
	EXPECT(strcmp(token, again) != 0);
	IS(judged(&s, stranger(""), again), "refused");
	scene_close(&s);
}

static void what_cannot_be_made_says_why(void)
{
	char token[MSN_TOKEN_BYTES], line[MSN_TOKEN_LINE];
	struct msn_failure why = { 0 };

	EXPECT(msn_auth_make_token("A", MSN_ROLE_READ, "t", token, line,
				   &why) == -EINVAL);
	IS(why.text, "'A' is no id of a token: 1 to 32 of a-z, 0-9 and -");
	why.kind = MSN_FAILURE_NONE;
	EXPECT(msn_auth_make_token("a", MSN_ROLE_NONE, "t", token, line,
				   &why) == -EINVAL);
	IS(why.text, "a token has one of the roles read, operate and admin");
	why.kind = MSN_FAILURE_NONE;
	EXPECT(msn_auth_make_token("a", MSN_ROLE_READ, "T", token, line,
				   &why) == -EINVAL);
	IS(why.text, "'T' is no tenant: up to 63 of a-z, 0-9, dots, dashes "
		     "and underscores");
}

/* ---- The file ----------------------------------------------------------- */

#define HASH64                                                                 \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define GOOD " read tenant:t sha256:" SALT ":" HASH64 "\n"

static void a_line_that_is_none_is_told_and_nothing_changes(void)
{
	static const char four[] =
		"has not four words: ID ROLE tenant:NAME sha256:SALT:HASH";
	static const char hash[] =
		"has no sha256:SALT:HASH of 32 and 64 hexadecimal digits";
	static const struct {
		const char *line, *wrong;
	} bad[] = {
		{ "x", four },
		{ "x read tenant:t", four },
		{ "x read tenant:t sha256:" SALT ":" HASH64 " y", four },
		{ "X" GOOD, "has an id that is not 1 to 32 of a-z, 0-9 and -" },
		{ "x none tenant:t sha256:" SALT ":" HASH64,
		  "has none of the roles read, operate and admin" },
		{ "x read t sha256:" SALT ":" HASH64,
		  "has no tenant:NAME of up to 63 of a-z, 0-9, dots, dashes "
		  "and underscores" },
		{ "x read tenant:T sha256:" SALT ":" HASH64,
		  "has no tenant:NAME of up to 63 of a-z, 0-9, dots, dashes "
		  "and underscores" },
		{ "x read tenant:t md5:" SALT ":" HASH64, hash },
		{ "x read tenant:t sha256:" SALT HASH64 "0", hash },
		{ "x read tenant:t sha256:" SALT ":" HASH64 "0", hash },
		{ "x read tenant:t sha256:" SALT ":g" HASH64, hash },
	};
	char text[512], want[512], secret[65];
	struct scene s;

	hash_of(SECRET, secret);
	snprintf(text, sizeof(text), "a read tenant:a sha256:" SALT ":%s\n",
		 secret);
	scene_open(&s, "");
	scene_file(&s, "tokens", text, 0600);
	CHECK(scene_reload(&s, CONFIG) == 0);
	for (size_t i = 0; i < MSN_ARRAY_LEN(bad); i++) {
		snprintf(text, sizeof(text), "y" GOOD "%s\n", bad[i].line);
		scene_file(&s, "tokens", text, 0600);
		EXPECT(scene_reload(&s, CONFIG) == -EINVAL);
		snprintf(want, sizeof(want), "%s/tokens:2: the line %s",
			 s.folder, bad[i].wrong);
		IS(s.why.text, want);
		IS(judged(&s, stranger(""), "a." SECRET), "tenant:a read");
	}
	scene_file(&s, "tokens", "z" GOOD "y" GOOD "z" GOOD, 0600);
	EXPECT(scene_reload(&s, CONFIG) == -EINVAL);
	EXPECT(strstr(s.why.text, "/tokens: the id 'z' is there twice"));
	scene_close(&s);
}

/* Is a file of this mode refused, with these words? */
static bool refused(struct scene *s, unsigned mode, const char *text)
{
	scene_file(s, "tokens", "y" GOOD, mode);
	return scene_reload(s, CONFIG) == -EACCES &&
	       s->why.kind == MSN_FAILURE_DENIED && strstr(s->why.text, text);
}

static void a_file_that_others_may_read_is_refused(void)
{
	struct scene s;

	scene_open(&s, "");
	EXPECT(refused(&s, 0604,
		       "/tokens: anybody may read the file; take "
		       "that right away (chmod o=)"));
	EXPECT(refused(&s, 0602, "/tokens: anybody may write to the file"));
	EXPECT(refused(&s, 0620,
		       "/tokens: its group may write to the file; "
		       "take that right away (chmod g-w)"));
	EXPECT(!refused(&s, 0640, ""));
	if (geteuid() == 0) {
		scene_file(&s, "tokens", "y" GOOD, 0600);
		CHECK(chown(scene_path(&s, "tokens"), 4711, 0) == 0);
		EXPECT(scene_reload(&s, CONFIG) == -EACCES);
		EXPECT(strstr(s.why.text, "/tokens: the file belongs to user "
					  "4711"));
	}
	CHECK(unlink(scene_path(&s, "tokens")) == 0);
	EXPECT(scene_reload(&s, CONFIG) == -ENOENT);
	EXPECT(strstr(s.why.text, "/tokens: cannot open the file: No such "
				  "file or directory"));
	scene_close(&s);
}

static void a_token_that_is_taken_out_counts_no_longer(void)
{
	char token[MSN_TOKEN_BYTES], line[MSN_TOKEN_LINE];
	struct scene s;

	scene_open(&s, "");
	CHECK(msn_auth_make_token("a", MSN_ROLE_READ, "t", token, line, NULL) ==
	      0);
	scene_file(&s, "tokens", line, 0600);
	CHECK(scene_reload(&s, CONFIG) == 0);
	IS(judged(&s, stranger(""), token), "tenant:t read");
	scene_file(&s, "tokens", "", 0600);
	CHECK(scene_reload(&s, CONFIG) == 0);
	IS(judged(&s, stranger(""), token), "refused");
	scene_close(&s);
}

static void thousands_of_tokens_are_told_apart(void)
{
	enum { COUNT = 3000 };
	static char tokens[COUNT][MSN_TOKEN_BYTES];
	static char text[COUNT * MSN_TOKEN_LINE];
	size_t used = 0;
	struct scene s;

	scene_open(&s, "");
	for (int i = 0; i < COUNT; i++) {
		char id[16], line[MSN_TOKEN_LINE];

		snprintf(id, sizeof(id), "k%d", i * 7919 % COUNT);
		CHECK(msn_auth_make_token(id, MSN_ROLE_READ, id, tokens[i],
					  line, NULL) == 0);
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "%s\n", line);
	}
	scene_file(&s, "tokens", text, 0600);
	CHECK(scene_reload(&s, CONFIG) == 0);
	for (int i = 0; i < COUNT; i++) {
		char want[64];

		snprintf(want, sizeof(want), "tenant:k%d read",
			 i * 7919 % COUNT);
		IS(judged(&s, stranger(""), tokens[i]), want);
	}
	scene_close(&s);
}

/* ---- Faults ------------------------------------------------------------- */

struct walk {
	struct scene scene;
	struct msn_auth *auth;
	char token[MSN_TOKEN_BYTES];
	struct msn_peer peer;
};

static void *walk_prepare(void)
{
	struct walk *w = calloc(1, sizeof(*w));
	char line[MSN_TOKEN_LINE];

	CHECK(w);
	scene_open(&w->scene, "");
	CHECK(msn_auth_make_token("a", MSN_ROLE_READ, "t", w->token, line,
				  NULL) == 0);
	scene_file(&w->scene, "tokens", line, 0600);
	scene_configure(&w->scene, CONFIG);
	w->peer = stranger("");
	return w;
}

static int walk_body(void *state)
{
	struct walk *w = state;
	struct msn_config *c = w->scene.config;
	int rc = msn_auth_new(&w->auth, c, &w->scene.why);

	if (rc == 0)
		rc = msn_auth_reload(w->scene.auth, c, &w->scene.why);
	if (rc == 0)
		rc = msn_auth_peer(w->auth, &w->peer, w->token);
	return rc;
}

static void walk_verify(void *state, int rc, const char *name)
{
	struct walk *w = state;
	bool hash = name && strcmp(name, "tokens.hash") == 0;

	if (!name) {
		EXPECT(rc == 0 && w->peer.role == MSN_ROLE_READ);
	} else if (rc) {
		EXPECT(w->peer.role == MSN_ROLE_NONE);
		EXPECT((w->scene.why.kind == MSN_FAILURE_NONE) == hash);
	}
	/* Whichever it has, it goes on. */
	IS(judged(&w->scene, process(0, 0, NULL, 0), NULL), "uid:0 admin");
	msn_auth_free(w->auth);
	scene_close(&w->scene);
	free(w);
}

static void without_memory_nothing_is_allowed(void)
{
	EXPECT(check_every_fault(walk_prepare, walk_body, walk_verify) > 8);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_token_is_its_tenant_with_its_role),
		CHECK_TEST(what_is_no_token_is_refused),
		CHECK_TEST(a_secret_that_can_be_guessed_is_refused),
		CHECK_TEST(without_a_file_there_are_no_tokens),
		CHECK_TEST(what_is_made_is_taken),
		CHECK_TEST(what_cannot_be_made_says_why),
		CHECK_TEST(a_line_that_is_none_is_told_and_nothing_changes),
		CHECK_TEST(a_file_that_others_may_read_is_refused),
		CHECK_TEST(a_token_that_is_taken_out_counts_no_longer),
		CHECK_TEST(thousands_of_tokens_are_told_apart),
		CHECK_TEST(without_memory_nothing_is_allowed),
		{}
	};

	return check_main(argc, argv, "auth_tokens", tests);
}
