/*
 * Tokens: a table of them, read from a file.  Private to this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_AUTH_TOKENS_H
#define MSN_AUTH_TOKENS_H

#include "auth/auth.h"

#include <stdint.h>

#define SALT_BYTES 16
#define HASH_BYTES 32

struct token {
	char id[MSN_TOKEN_ID_MAX + 1];
	enum msn_role role;
	char owner[80]; /* "tenant:NAME" */
	uint8_t salt[SALT_BYTES], hash[HASH_BYTES];
};

struct tokens {
	struct token *at; /* by id */
	size_t count, cap;
};

/* Reads the file; @t was zeroed.  Nothing is in it on failure. */
MSN_MUST_CHECK int msn_auth_tokens_read(struct tokens *t, const char *path,
					struct msn_failure *why);
void msn_auth_tokens_deinit(struct tokens *t);

/*
 * The token that @text is, or NULL.  Takes as long whether the id is known or
 * not, and compares hashes in constant time.
 */
const struct token *msn_auth_tokens_find(const struct tokens *t,
					 const char *text);

#endif /* MSN_AUTH_TOKENS_H */
