/*
 * Auth: who a caller is, what it may do, and which files of the host it may
 * have opened.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    connection accepted --> msn_auth_peer(auth, peer, NULL)   owner, role
 *    call with a token   --> msn_auth_peer(auth, copy, token)  the token's
 *    FdRef.path          --> msn_auth_open_path()              a descriptor
 *
 * A caller's owner is whose things it sees:
 *
 *    by a Unix socket      "uid:1000", the user that the kernel saw connect
 *    by a certificate      "tenant:NAME", as the configuration maps its name
 *    by a token            "tenant:NAME", as the file of tokens says
 *    by nothing of these   "anonymous", with MSN_ROLE_NONE
 *
 * Root and the service's own user are administrators; all other roles come from
 * the configuration (roles.* in memsnapd.conf(5)), the highest that fits.
 *
 * Locks: MSN_RANK_LEAF, for a pointer.  Any thread.
 */
#ifndef MSN_AUTH_AUTH_H
#define MSN_AUTH_AUTH_H

#include "base/cleanup.h"
#include "base/failure.h"
#include "config/config.h"
#include "status/status.h"
#include "wire/peer.h"

struct msn_auth;

/*
 * Reads the file of tokens, if @config names one, and keeps a reference on
 * @config.  The failure names the file, and the line that is no good.
 */
MSN_MUST_CHECK int msn_auth_new(struct msn_auth **out,
				struct msn_config *config,
				struct msn_failure *why);

/*
 * Goes by @config, and by the file of tokens as it is now, from now on.  Peers
 * that are connected keep what they were told; their next tokens are looked at
 * anew.  On failure everything is as before.
 */
MSN_MUST_CHECK int msn_auth_reload(struct msn_auth *a,
				   struct msn_config *config,
				   struct msn_failure *why);

/* NULL is allowed. */
struct msn_auth *msn_auth_free(struct msn_auth *a);
MSN_DEFINE_AUTO(struct msn_auth, msn_auth_free)

/*
 * Fills @peer->owner and @peer->role: what the server's authenticate() is to do
 * (wire/server.h).  Does not block.  @token is what stands behind "Bearer ", or
 * NULL.  -EACCES for a token that is not valid, and for a process whose user
 * this kernel cannot name here; @peer is as it was then.
 */
MSN_MUST_CHECK int msn_auth_peer(struct msn_auth *a, struct msn_peer *peer,
				 const char *token);

/* ---- Files of the host -------------------------------------------------- */

/*
 * Opens @path for a caller, with the rights of the process that connected: its
 * user, its group and its supplementary groups, and never with the service's.
 * @flags is O_RDONLY, O_WRONLY or O_RDWR, and O_DIRECT with any of them.
 *
 * The path must lie below a root of the configuration (files.allow) whose role
 * the caller has, and be a regular file; links are followed as far as they stay
 * below that root.  *@fd is the caller's, close-on-exec.
 *
 * Blocks: for a worker.  Other threads of the process keep their rights.
 *
 * A negated errno, and @status says which:
 *    PERMISSION_DENIED    PATH_NOT_ALLOWED   below no root; a root that is not
 *                                            for this role, or for reading
 * only; a link that leads out of it PERMISSION_DENIED    FILE_RIGHTS        the
 * caller is on no Unix socket, or the service may not act as its user
 *    PERMISSION_DENIED    FILE_DENIED        the caller may not open this file
 *    NOT_FOUND            FILE_NOT_FOUND
 *    FAILED_PRECONDITION  FILE_KIND          a folder, a device, a pipe, ...
 *    INVALID_ARGUMENT     INVALID_PATH       not absolute, or too long
 * and what else an open() may fail with.
 */
MSN_MUST_CHECK int msn_auth_open_path(struct msn_auth *a,
				      const struct msn_peer *peer,
				      const char *path, int flags, int *fd,
				      struct msn_status *status);

/* ---- Tokens ------------------------------------------------------------- */

/*
 * A token is ID.SECRET; the file has a line for each:
 *
 *    ID ROLE tenant:NAME sha256:SALT:HASH
 *
 * with ID of 1 to 32 of a-z, 0-9 and -, ROLE read, operate or admin, SALT 32
 * hexadecimal digits, and HASH the SHA-256 of the 16 bytes of the salt and the
 * secret.  Blank lines and lines that begin with # do not count.  A secret has
 * at least MSN_TOKEN_SECRET_MIN characters and is random, so a fast hash cannot
 * be run through.
 */
#define MSN_TOKEN_SECRET_MIN 22 /* 128 bits, six in a character */
#define MSN_TOKEN_SECRET_MAX 128
#define MSN_TOKEN_ID_MAX 32
#define MSN_TOKEN_FILE_MAX ((size_t)4 << 20)

#define MSN_TOKEN_BYTES 80 /* room for a token that is made here */
#define MSN_TOKEN_LINE 256 /* room for its line */

/*
 * Makes a token with 256 random bits, and the line that goes with it, without a
 * newline.  INVALID for an @id, a @role or a @tenant that is none.
 */
MSN_MUST_CHECK int msn_auth_make_token(const char *id, enum msn_role role,
				       const char *tenant,
				       char token[MSN_TOKEN_BYTES],
				       char line[MSN_TOKEN_LINE],
				       struct msn_failure *why);

#endif /* MSN_AUTH_AUTH_H */
