/*
 * Scene: a folder, a configuration read from it, and who decides by that.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_AUTH_SCENE_H
#define MSN_TESTS_AUTH_SCENE_H

#include "auth/auth.h"

#include <stdbool.h>

struct scene {
	char folder[32]; /* "/tmp/msn-auth-..."; anybody may look into it */
	struct msn_config *config;
	struct msn_auth *auth;
	struct msn_failure why;
};

/* @text is the configuration; each % in it stands for the folder. */
void scene_open(struct scene *s, const char *text);
void scene_close(struct scene *s);

/* Reads another configuration; 0, or why msn_auth_reload() would not. */
int scene_reload(struct scene *s, const char *text);

/* Only loads it, into s->config. */
void scene_configure(struct scene *s, const char *text);

/* Writes a file below the folder, with that mode, and folders above it. */
void scene_file(struct scene *s, const char *name, const char *text,
		unsigned mode);

/* The path of a file below the folder: until the next call but three. */
const char *scene_path(const struct scene *s, const char *name);

/* A caller on a Unix socket. */
struct msn_peer process(uid_t uid, gid_t gid, const gid_t *groups,
			size_t count);
/* A caller by TLS that shows a certificate with this name. */
struct msn_peer stranger(const char *certificate);

/* What msn_auth_peer() says: "owner role", or "refused". */
const char *judged(struct scene *s, struct msn_peer peer, const char *token);

#endif /* MSN_TESTS_AUTH_SCENE_H */
