/*
 * Listen: addresses become listening sockets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "daemon/listen.h"

#include "base/error.h"
#include "base/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* What a burst of clients may queue: the kernel's usual most. */
#define BACKLOG 4096

/* ---- Parsing ------------------------------------------------------------- */

static int bad(struct msn_failure *why, const char *text, const char *wrong)
{
	return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
			       "'%.200s' is no address to listen on: %s", text,
			       wrong);
}

static int parse_unix(const char *text, const char *path,
		      struct msn_address *out, struct msn_failure *why)
{
	if (path[0] != '/')
		return bad(why, text, "its path is not absolute");
	if (strlen(path) >= sizeof(out->path))
		return bad(why, text, "its path has more than 107 bytes");
	out->transport = MSN_TRANSPORT_UNIX;
	snprintf(out->path, sizeof(out->path), "%s", path);
	return 0;
}

static int parse_port(const char *text, unsigned short *port)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (!*text || *end || n > 65535)
		return -EINVAL;
	*port = (unsigned short)n;
	return 0;
}

static bool is_loopback(const char *host)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static int parse_tcp(const char *text, const char *rest,
		     struct msn_address *out, struct msn_failure *why)
{
	const char *colon = strrchr(rest, ':');
	size_t len = colon ? (size_t)(colon - rest) : 0;

	if (!colon || parse_port(colon + 1, &out->port))
		return bad(why, text, "it does not end in a port");
	if (len >= 2 && rest[0] == '[' && rest[len - 1] == ']') {
		rest++;
		len -= 2;
	}
	if (!len || len >= sizeof(out->host))
		return bad(why, text, "it has no host");
	memcpy(out->host, rest, len);
	out->host[len] = '\0';
	if (!is_loopback(out->host))
		return bad(why, text,
			   "without TLS only the loopback (127.0.0.1, [::1]) "
			   "is listened on");
	out->transport = MSN_TRANSPORT_TCP;
	return 0;
}

int msn_address_parse(const char *text, struct msn_address *out,
		      struct msn_failure *why)
{
	struct msn_address a = { 0 };
	int rc;

	if (strncmp(text, "unix:", 5) == 0)
		rc = parse_unix(text, text + 5, &a, why);
	else if (strncmp(text, "tcp:", 4) == 0)
		rc = parse_tcp(text, text + 4, &a, why);
	else
		rc = bad(why, text, "it begins with neither unix: nor tcp:");
	if (!rc)
		*out = a;
	return rc;
}

/* ---- Unix sockets -------------------------------------------------------- */

static socklen_t unix_name(const struct msn_address *a, struct sockaddr_un *un)
{
	*un = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(un->sun_path, sizeof(un->sun_path), "%s", a->path);
	return sizeof(*un);
}

/* Does somebody take connections there? */
static bool is_served(const struct msn_address *a)
{
	struct sockaddr_un un;
	socklen_t len = unix_name(a, &un);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool served =
		fd >= 0 && (connect(fd, (struct sockaddr *)&un, len) == 0 ||
			    errno == EAGAIN);

	msn_close(fd);
	return served;
}

/* Takes away a socket that a service left which is gone. */
static int clear_path(const struct msn_address *a, struct msn_failure *why)
{
	struct stat st;

	if (lstat(a->path, &st))
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return msn_failure_set(why, -EEXIST, MSN_FAILURE_EXISTS,
				       "%s is there already and is no socket",
				       a->path);
	if (is_served(a))
		return msn_failure_set(why, -EADDRINUSE, MSN_FAILURE_EXISTS,
				       "another service listens on %s",
				       a->path);
	if (unlink(a->path) && errno != ENOENT)
		return msn_failure_errno(why, -errno, "cannot replace %s",
					 a->path);
	return 0;
}

static int bind_unix(const struct msn_address *a, mode_t mode, int fd,
		     struct msn_failure *why)
{
	struct sockaddr_un un;
	socklen_t len = unix_name(a, &un);
	mode_t mask;
	int rc = clear_path(a, why);

	if (rc)
		return rc;
	mask = umask(0777 & ~mode);
	rc = bind(fd, (struct sockaddr *)&un, len) ? -errno : 0;
	umask(mask);
	if (rc)
		return msn_failure_errno(why, rc, "cannot listen on %s",
					 a->path);
	return 0;
}

/* ---- TCP ----------------------------------------------------------------- */

static int bind_tcp(const struct msn_address *a, int fd,
		    struct msn_failure *why)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(a->port) };
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_port = htons(a->port) };
	static const int on = 1;
	int rc;

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (inet_pton(AF_INET, a->host, &v4.sin_addr) == 1) {
		rc = bind(fd, (struct sockaddr *)&v4, sizeof(v4));
	} else {
		(void)inet_pton(AF_INET6, a->host, &v6.sin6_addr);
		rc = bind(fd, (struct sockaddr *)&v6, sizeof(v6));
	}
	if (rc)
		return msn_failure_errno(why, -errno,
					 "cannot listen on %s port %u", a->host,
					 a->port);
	return 0;
}

int msn_address_listen(const struct msn_address *a, mode_t mode, int *out,
		       struct msn_failure *why)
{
	bool local = a->transport == MSN_TRANSPORT_UNIX;
	int family = local		    ? AF_UNIX
		     : strchr(a->host, ':') ? AF_INET6
					    : AF_INET;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc;

	if (fd < 0)
		return msn_failure_errno(why, -errno, "cannot make a socket");
	rc = local ? bind_unix(a, mode, fd, why) : bind_tcp(a, fd, why);
	if (!rc && listen(fd, BACKLOG))
		rc = msn_failure_errno(why, -errno, "cannot listen");
	if (rc)
		msn_close(fd);
	else
		*out = fd;
	return rc;
}

void msn_address_forget(const struct msn_address *a)
{
	if (a->transport == MSN_TRANSPORT_UNIX)
		(void)unlink(a->path);
}

void msn_address_format(const struct msn_address *a, int fd, char *out,
			size_t size)
{
	struct sockaddr_storage name = { 0 };
	socklen_t len = sizeof(name);
	unsigned port = a->port;

	if (a->transport == MSN_TRANSPORT_UNIX) {
		snprintf(out, size, "unix:%s", a->path);
		return;
	}
	/* The port stands in the same place of both kinds. */
	if (getsockname(fd, (struct sockaddr *)&name, &len) == 0)
		port = ntohs(((struct sockaddr_in *)&name)->sin_port);
	snprintf(out, size, strchr(a->host, ':') ? "tcp:[%s]:%u" : "tcp:%s:%u",
		 a->host, port);
}
