/*
 * Paths, addresses, subjects and roots.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "types.h"

#include "base/alloc.h"
#include "base/error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

/* ---- Words with escapes ------------------------------------------------- */

int msn_config_take_word(const char **text, char **out, char wrong[WRONG_MAX])
{
	const char *at = *text + strspn(*text, " \t");
	msn_auto(msn_freep) char *word = msn_alloc(strlen(at) + 1);
	size_t len = 0;

	if (!word)
		return msn_fail(-ENOMEM);
	for (; *at && *at != ' ' && *at != '\t'; at++) {
		if (*at == '\\') {
			at++;
			if (!*at || !strchr(",\\ ", *at))
				return msn_config_wrong(
					wrong, "has a backslash before "
					       "something else than comma, "
					       "blank and backslash");
		}
		word[len++] = *at;
	}
	*text = at;
	*out = len ? msn_steal(word) : NULL;
	return 0;
}

int msn_config_one_word(const char *text, char **out, char wrong[WRONG_MAX])
{
	msn_auto(msn_freep) char *word = NULL;
	msn_auto(msn_freep) char *second = NULL;
	int rc = msn_config_take_word(&text, &word, wrong);

	if (rc == 0)
		rc = msn_config_take_word(&text, &second, wrong);
	if (rc)
		return rc;
	if (!word || second)
		return msn_config_wrong(wrong,
					"is not one word; put a backslash "
					"before a blank that belongs to it");
	*out = msn_steal(word);
	return 0;
}

/* ---- Paths -------------------------------------------------------------- */

bool msn_config_is_plain_path(const char *path)
{
	if (*path != '/' || strlen(path) >= PATH_MAX)
		return false;
	if (!path[1])
		return true;
	for (const char *at = path; *at;) {
		size_t len = strcspn(++at, "/");

		if (len == 0 || (len == 1 && *at == '.') ||
		    (len == 2 && at[0] == '.' && at[1] == '.'))
			return false;
		at += len;
	}
	return true;
}

static int parse_path(const struct msn_config_setting *s, const char *text,
		      void *out, char wrong[WRONG_MAX])
{
	msn_auto(msn_freep) char *path = NULL;
	int rc = msn_config_one_word(text, &path, wrong);

	(void)s;
	if (rc)
		return rc;
	if (!msn_config_is_plain_path(path))
		return msn_config_wrong(wrong, "is no path that begins with / "
					       "and has no . or .. in it");
	*(char **)out = msn_steal(path);
	return 0;
}

static int parse_socket(const struct msn_config_setting *s, const char *text,
			void *out, char wrong[WRONG_MAX])
{
	const size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
	msn_auto(msn_freep) char *path = NULL;
	int rc = parse_path(s, text, &path, wrong);

	if (rc)
		return rc;
	if (strlen(path) > most)
		return msn_config_wrong(
			wrong, "is too long for a socket: %zu bytes at most",
			most);
	*(char **)out = msn_steal(path);
	return 0;
}

/* As @parse, and the empty text stands for none. */
static int or_none(int (*parse)(const struct msn_config_setting *s,
				const char *text, void *out,
				char wrong[WRONG_MAX]),
		   const struct msn_config_setting *s, const char *text,
		   void *out, char wrong[WRONG_MAX])
{
	char *none;

	if (*text)
		return parse(s, text, out, wrong);
	none = msn_strdup("");
	if (!none)
		return msn_fail(-ENOMEM);
	*(char **)out = none;
	return 0;
}

static int parse_path_or_none(const struct msn_config_setting *s,
			      const char *text, void *out,
			      char wrong[WRONG_MAX])
{
	return or_none(parse_path, s, text, out, wrong);
}

static int parse_socket_or_none(const struct msn_config_setting *s,
				const char *text, void *out,
				char wrong[WRONG_MAX])
{
	return or_none(parse_socket, s, text, out, wrong);
}

static void release_text(void *element)
{
	free(*(char **)element);
}

/* ---- Addresses ---------------------------------------------------------- */

static bool is_loopback(const struct sockaddr_storage *sa)
{
	const struct sockaddr_in *v4 = (const void *)sa;
	const struct sockaddr_in6 *v6 = (const void *)sa;

	if (sa->ss_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

/* "1.2.3.4" or "[::1]", @len bytes of @text. */
static bool read_host(const char *text, size_t len,
		      struct msn_config_address *a)
{
	struct sockaddr_in *v4 = (void *)&a->sa;
	struct sockaddr_in6 *v6 = (void *)&a->sa;
	char host[INET6_ADDRSTRLEN];
	bool six = len > 1 && text[0] == '[' && text[len - 1] == ']';

	if (six) {
		text++;
		len -= 2;
	}
	if (len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	a->sa.ss_family = six ? AF_INET6 : AF_INET;
	a->sa_len = six ? sizeof(*v6) : sizeof(*v4);
	return inet_pton(a->sa.ss_family, host,
			 six ? (void *)&v6->sin6_addr
			     : (void *)&v4->sin_addr) == 1;
}

/* The port stands at the same place in both families. */
static bool read_address(const char *text, struct msn_config_address *a)
{
	const char *colon = strrchr(text, ':'), *digits;
	struct sockaddr_in *v4 = (void *)&a->sa;
	uint64_t port;

	if (!colon || !read_host(text, (size_t)(colon - text), a))
		return false;
	digits = colon + 1;
	if (!msn_config_take_digits(&digits, &port) || *digits ||
	    port > UINT16_MAX)
		return false;
	v4->sin_port = htons((uint16_t)port);
	return true;
}

static int parse_address(const struct msn_config_setting *s, const char *text,
			 void *out, char wrong[WRONG_MAX])
{
	struct msn_config_address a = { 0 };

	(void)s;
	if (!read_address(text, &a))
		return msn_config_wrong(wrong, "is no address: numbers and a "
					       "port, such as 127.0.0.1:7700 "
					       "or [::1]:7700");
	*(struct msn_config_address *)out = a;
	return 0;
}

static int parse_loopback(const struct msn_config_setting *s, const char *text,
			  void *out, char wrong[WRONG_MAX])
{
	struct msn_config_address a = { 0 };
	int rc = parse_address(s, text, &a, wrong);

	if (rc)
		return rc;
	if (!is_loopback(&a.sa))
		return msn_config_wrong(wrong,
					"is not on this host alone: without "
					"TLS only 127.0.0.1 and [::1] are "
					"served (see listen.tls)");
	*(struct msn_config_address *)out = a;
	return 0;
}

static int parse_scrape(const struct msn_config_setting *s, const char *text,
			void *out, char wrong[WRONG_MAX])
{
	struct msn_config_address a = { 0 };
	int rc;

	if (*text != '/')
		return parse_loopback(s, text, out, wrong);
	rc = parse_socket(s, text, &a.path, wrong);
	if (rc == 0)
		*(struct msn_config_address *)out = a;
	return rc;
}

static void release_address(void *element)
{
	free(((struct msn_config_address *)element)->path);
}

/* ---- Subjects ----------------------------------------------------------- */

bool msn_config_is_tenant(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return len >= 1 && len <= 63 && !name[len] && !strchr("._-", *name);
}

static const char *after(const char *text, const char *start)
{
	size_t len = strlen(start);

	return strncmp(text, start, len) == 0 ? text + len : NULL;
}

/* "any", or somebody by user or group. */
static int read_local(const char *word, struct msn_config_subject *out,
		      char wrong[WRONG_MAX])
{
	const char *user = after(word, "user:"), *group = after(word, "group:");
	int rc = 0;

	if (!user)
		user = after(word, "uid:");
	if (!group)
		group = after(word, "gid:");
	out->kind = user    ? MSN_CONFIG_UID
		    : group ? MSN_CONFIG_GID
			    : MSN_CONFIG_ANY;
	if (user)
		rc = msn_config_find_user(user, &out->id);
	else if (group)
		rc = msn_config_find_group(group, &out->id);
	else if (strcmp(word, "any") != 0)
		return msn_config_wrong(wrong, "is nobody: any, user:NAME, "
					       "uid:N, group:NAME, gid:N, or "
					       "uri:NAME or dns:NAME with "
					       "tenant:NAME");
	if (rc == -ENOENT)
		return msn_config_wrong(wrong, "names no %s of this host",
					user ? "user" : "group");
	return msn_pass(rc);
}

/* A name of a certificate, and the tenant that it stands for. */
static int read_named(const char *name, const char *rest,
		      struct msn_config_subject *out, char wrong[WRONG_MAX])
{
	msn_auto(msn_freep) char *word = NULL;
	int rc = msn_config_one_word(rest, &word, wrong);
	const char *tenant = word ? after(word, "tenant:") : NULL;

	if (rc == -ENOMEM)
		return rc;
	if (!*name || !tenant || !msn_config_is_tenant(tenant))
		return msn_config_wrong(wrong,
					"needs a name, and behind it "
					"tenant:NAME of up to 63 of a-z, 0-9, "
					"dots, dashes and underscores");
	out->name = msn_strdup(name);
	out->tenant = msn_strdup(tenant);
	return out->name && out->tenant ? 0 : msn_fail(-ENOMEM);
}

static void release_subject(void *element)
{
	struct msn_config_subject *s = element;

	free(s->name);
	free(s->tenant);
}

static int parse_subject(const struct msn_config_setting *s, const char *text,
			 void *out, char wrong[WRONG_MAX])
{
	struct msn_config_subject subject = { 0 };
	msn_auto(msn_freep) char *word = NULL;
	const char *uri, *dns;
	int rc = msn_config_take_word(&text, &word, wrong);

	(void)s;
	if (rc)
		return rc;
	uri = word ? after(word, "uri:") : NULL;
	dns = word ? after(word, "dns:") : NULL;
	subject.kind = uri ? MSN_CONFIG_URI : MSN_CONFIG_DNS;
	if (uri || dns)
		rc = read_named(uri ? uri : dns, text, &subject, wrong);
	else if (text[strspn(text, " \t")])
		rc = msn_config_wrong(wrong, "is more than one word; elements "
					     "have commas between them");
	else
		rc = read_local(word ? word : "", &subject, wrong);
	if (rc)
		release_subject(&subject);
	else
		*(struct msn_config_subject *)out = subject;
	return rc;
}

/* ---- Roots -------------------------------------------------------------- */

static bool read_role(const char *name, enum msn_role *out)
{
	for (unsigned r = MSN_ROLE_READ; msn_role_name(r); r++) {
		if (strcmp(name, msn_role_name(r)) == 0) {
			*out = (enum msn_role)r;
			return true;
		}
	}
	return false;
}

/* "ro", "rw" or "role:ROLE". */
static bool read_right(const char *word, struct msn_config_root *root)
{
	const char *role = after(word, "role:");

	if (role)
		return read_role(role, &root->role);
	root->writable = strcmp(word, "rw") == 0;
	return root->writable || strcmp(word, "ro") == 0;
}

static int parse_root(const struct msn_config_setting *s, const char *text,
		      void *out, char wrong[WRONG_MAX])
{
	struct msn_config_root root = { .role = MSN_ROLE_OPERATE };
	msn_auto(msn_freep) char *path = NULL;
	int rc = msn_config_take_word(&text, &path, wrong);

	(void)s;
	while (rc == 0) {
		msn_auto(msn_freep) char *word = NULL;

		rc = msn_config_take_word(&text, &word, wrong);
		if (rc || !word)
			break;
		if (!read_right(word, &root))
			rc = msn_config_wrong(wrong,
					      "has something else than ro, rw "
					      "and role:read, role:operate or "
					      "role:admin behind the path");
	}
	if (rc)
		return rc;
	if (!path || !msn_config_is_plain_path(path))
		return msn_config_wrong(wrong, "is no path that begins with / "
					       "and has no . or .. in it");
	root.path = msn_steal(path);
	*(struct msn_config_root *)out = root;
	return 0;
}

static void release_root(void *element)
{
	free(((struct msn_config_root *)element)->path);
}

#define TEXT(type, arg, fn)                                                    \
	const struct msn_config_type type = { arg, sizeof(char *), fn,         \
					      release_text }
#define ADDRESS(type, arg, fn)                                                 \
	const struct msn_config_type type = {                                  \
		arg, sizeof(struct msn_config_address), fn, release_address    \
	}

TEXT(msn_config_path, "PATH", parse_path);
TEXT(msn_config_path_or_none, "PATH", parse_path_or_none);
TEXT(msn_config_socket, "PATH", parse_socket);
TEXT(msn_config_socket_or_none, "PATH", parse_socket_or_none);
ADDRESS(msn_config_loopback, "ADDRESS:PORT", parse_loopback);
ADDRESS(msn_config_address, "ADDRESS:PORT", parse_address);
ADDRESS(msn_config_scrape, "ADDRESS:PORT|PATH", parse_scrape);
const struct msn_config_type msn_config_subject = {
	"WHO", sizeof(struct msn_config_subject), parse_subject, release_subject
};
const struct msn_config_type msn_config_root = { "ROOT",
						 sizeof(struct msn_config_root),
						 parse_root, release_root };
