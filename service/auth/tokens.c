/*
 * Tokens: lines of a file, and what callers send.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The id in a token says which line it is, so that one hash is computed for a
 * call, however many tokens there are.
 */
#include "tokens.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/rand.h"
#include "base/trusted.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ID_LETTERS "abcdefghijklmnopqrstuvwxyz0123456789-"
/* In the order of base64url. */
#define SECRET_LETTERS                                                         \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

/* Random letters of a secret that is made here: 256 bits. */
#define MADE_LETTERS 43

static bool is_id(const char *text, size_t len)
{
	return len >= 1 && len <= MSN_TOKEN_ID_MAX &&
	       strspn(text, ID_LETTERS) >= len;
}

static bool hash_secret(const uint8_t salt[SALT_BYTES], const char *secret,
			size_t len, uint8_t out[HASH_BYTES])
{
	uint8_t bytes[SALT_BYTES + MSN_TOKEN_SECRET_MAX];
	bool ok;

	msn_assert(len <= MSN_TOKEN_SECRET_MAX);
	memcpy(bytes, salt, SALT_BYTES);
	memcpy(bytes + SALT_BYTES, secret, len);
	ok = !msn_fault("tokens.hash") &&
	     EVP_Digest(bytes, SALT_BYTES + len, out, NULL, EVP_sha256(),
			NULL) == 1;
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return ok;
}

/* ---- Looking up --------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct token *)a)->id,
		      ((const struct token *)b)->id);
}

static const struct token *find_id(const struct tokens *t, const char *text,
				   size_t len)
{
	struct token wanted = { 0 };

	memcpy(wanted.id, text, len);
	return t->count ? bsearch(&wanted, t->at, t->count, sizeof(*t->at),
				  by_id)
			: NULL;
}

const struct token *msn_auth_tokens_find(const struct tokens *t,
					 const char *text)
{
	/* What an id that is not there is compared with. */
	static const struct token nobody;
	const char *dot = strchr(text, '.'), *secret = dot ? dot + 1 : "";
	size_t len = strlen(secret);
	const struct token *found, *against;
	uint8_t hash[HASH_BYTES];
	bool same;

	if (!dot || !is_id(text, (size_t)(dot - text)) ||
	    len < MSN_TOKEN_SECRET_MIN || len > MSN_TOKEN_SECRET_MAX)
		return NULL;
	found = find_id(t, text, (size_t)(dot - text));
	against = found ? found : &nobody;
	if (!hash_secret(against->salt, secret, len, hash))
		return NULL;
	same = CRYPTO_memcmp(hash, against->hash, HASH_BYTES) == 0;
	return same && found ? found : NULL;
}

/* ---- The file ----------------------------------------------------------- */

/* @count bytes of hexadecimal digits, and nothing behind them but @end. */
static bool read_hex(const char *text, size_t count, char end, uint8_t *out)
{
	for (size_t i = 0; i < count; i++) {
		int high = OPENSSL_hexchar2int((unsigned char)text[2 * i]);
		int low = high < 0 ? -1
				   : OPENSSL_hexchar2int(
					     (unsigned char)text[2 * i + 1]);

		if (low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return text[2 * count] == end;
}

static bool read_role(const char *text, enum msn_role *out)
{
	for (unsigned r = MSN_ROLE_READ; msn_role_name(r); r++) {
		if (strcmp(text, msn_role_name(r)) == 0) {
			*out = (enum msn_role)r;
			return true;
		}
	}
	return false;
}

static const char *after(const char *text, const char *start)
{
	size_t len = strlen(start);

	return strncmp(text, start, len) == 0 ? text + len : NULL;
}

/* What is wrong with a line, whose words are cut out of it; or NULL. */
static const char *read_line(char *line, struct token *out)
{
	char *rest = NULL, *words[5] = { NULL };
	const char *tenant, *hash;

	for (size_t i = 0; i < MSN_ARRAY_LEN(words); i++)
		words[i] = strtok_r(i ? NULL : line, " \t\r", &rest);
	if (!words[3] || words[4])
		return "has not four words: ID ROLE tenant:NAME "
		       "sha256:SALT:HASH";
	if (!is_id(words[0], strlen(words[0])))
		return "has an id that is not 1 to 32 of a-z, 0-9 and -";
	if (!read_role(words[1], &out->role))
		return "has none of the roles read, operate and admin";
	tenant = after(words[2], "tenant:");
	if (!tenant || !msn_config_is_tenant(tenant))
		return "has no tenant:NAME of up to 63 of a-z, 0-9, dots, "
		       "dashes and underscores";
	hash = after(words[3], "sha256:");
	if (!hash || strlen(hash) != 2 * SALT_BYTES + 1 + 2 * HASH_BYTES ||
	    !read_hex(hash, SALT_BYTES, ':', out->salt) ||
	    !read_hex(hash + 2 * SALT_BYTES + 1, HASH_BYTES, '\0', out->hash))
		return "has no sha256:SALT:HASH of 32 and 64 hexadecimal "
		       "digits";
	snprintf(out->id, sizeof(out->id), "%s", words[0]);
	snprintf(out->owner, sizeof(out->owner), "%s", words[2]);
	return NULL;
}

static int bad_line(struct msn_failure *why, const char *path, unsigned line,
		    const char *wrong)
{
	return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
			       "%s:%u: the line %s", path, line, wrong);
}

static int read_lines(struct tokens *t, char *text, const char *path,
		      struct msn_failure *why)
{
	unsigned line = 0;
	char *next;
	int rc;

	for (char *at = text; at; at = next) {
		const char *wrong;

		next = strchr(at, '\n');
		if (next)
			*next++ = '\0';
		line++;
		at += strspn(at, " \t\r");
		if (!*at || *at == '#')
			continue;
		rc = msn_grow((void **)&t->at, &t->cap, t->count,
			      sizeof(*t->at));
		if (rc)
			return msn_failure_errno(why, rc, "%s", path);
		t->at[t->count] = (struct token){ 0 };
		wrong = read_line(at, &t->at[t->count]);
		if (wrong)
			return bad_line(why, path, line, wrong);
		t->count++;
	}
	return 0;
}

static int check_twice(struct tokens *t, const char *path,
		       struct msn_failure *why)
{
	if (t->count)
		qsort(t->at, t->count, sizeof(*t->at), by_id);
	for (size_t i = 1; i < t->count; i++)
		if (by_id(&t->at[i - 1], &t->at[i]) == 0)
			return msn_failure_set(why, -EINVAL,
					       MSN_FAILURE_INVALID,
					       "%s: the id '%s' is there twice",
					       path, t->at[i].id);
	return 0;
}

int msn_auth_tokens_read(struct tokens *t, const char *path,
			 struct msn_failure *why)
{
	msn_auto(msn_freep) char *text = NULL;
	struct msn_failure said = { 0 };
	int rc = msn_read_trusted(&text, path, S_IRWXO | S_IWGRP,
				  MSN_TOKEN_FILE_MAX, &said);

	if (rc)
		return msn_failure_set(why, rc, said.kind, "%s: %s", path,
				       said.text);
	rc = read_lines(t, text, path, why);
	if (!rc)
		rc = check_twice(t, path, why);
	if (rc)
		msn_auth_tokens_deinit(t);
	return msn_pass(rc);
}

void msn_auth_tokens_deinit(struct tokens *t)
{
	free(t->at);
	*t = (struct tokens){ 0 };
}

/* ---- New ones ----------------------------------------------------------- */

static void write_hex(char *out, const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static void make_secret(char out[MADE_LETTERS + 1])
{
	uint8_t bytes[MADE_LETTERS];

	msn_random_bytes(bytes, sizeof(bytes));
	for (size_t i = 0; i < MADE_LETTERS; i++)
		out[i] = SECRET_LETTERS[bytes[i] % 64];
	out[MADE_LETTERS] = '\0';
	OPENSSL_cleanse(bytes, sizeof(bytes));
}

int msn_auth_make_token(const char *id, enum msn_role role, const char *tenant,
			char token[MSN_TOKEN_BYTES], char line[MSN_TOKEN_LINE],
			struct msn_failure *why)
{
	char secret[MADE_LETTERS + 1], salt_hex[2 * SALT_BYTES + 1];
	char hash_hex[2 * HASH_BYTES + 1];
	uint8_t salt[SALT_BYTES], hash[HASH_BYTES];

	if (!is_id(id, strlen(id)))
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "'%.80s' is no id of a token: 1 to 32 "
				       "of a-z, 0-9 and -",
				       id);
	if (role < MSN_ROLE_READ || role > MSN_ROLE_ADMIN)
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "a token has one of the roles read, "
				       "operate and admin");
	if (!msn_config_is_tenant(tenant))
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "'%.80s' is no tenant: up to 63 of a-z, "
				       "0-9, dots, dashes and underscores",
				       tenant);
	make_secret(secret);
	msn_random_bytes(salt, sizeof(salt));
	if (!hash_secret(salt, secret, MADE_LETTERS, hash))
		return msn_failure_set(why, -EIO, MSN_FAILURE_INTERNAL,
				       "cannot compute a SHA-256");
	write_hex(salt_hex, salt, SALT_BYTES);
	write_hex(hash_hex, hash, HASH_BYTES);
	snprintf(token, MSN_TOKEN_BYTES, "%s.%s", id, secret);
	snprintf(line, MSN_TOKEN_LINE, "%s %s tenant:%s sha256:%s:%s", id,
		 msn_role_name(role), tenant, salt_hex, hash_hex);
	OPENSSL_cleanse(secret, sizeof(secret));
	return 0;
}
