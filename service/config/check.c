/*
 * What makes no sense although each value does.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config_internal.h"

#include <string.h>

static const char *origin_of(const struct loader *l, const char *section,
			     const char *name)
{
	return msn_config_origin(&l->whole->config,
				 msn_config_find(section, name));
}

#define COMPLAIN(l, section, name, ...)                                        \
	msn_config_problem(l, MSN_FAILURE_INVALID,                             \
			   origin_of(l, section, name),                        \
			   section "." name ": " __VA_ARGS__)

static void check_tls(struct loader *l)
{
	const struct msn_config *c = &l->whole->config;
	bool certificate = *c->listen.tls_certificate, key = *c->listen.tls_key;

	if (certificate && !key)
		COMPLAIN(l, "listen", "tls_certificate",
			 "needs listen.tls_key as well");
	if (key && !certificate)
		COMPLAIN(l, "listen", "tls_key",
			 "needs listen.tls_certificate as well");
	if (!c->listen.tls.count)
		return;
	if (!certificate && !key)
		COMPLAIN(l, "listen", "tls",
			 "needs listen.tls_certificate and listen.tls_key");
	if (!*c->listen.tls_client_ca && !*c->roles.tokens)
		COMPLAIN(l, "listen", "tls",
			 "needs listen.tls_client_ca or roles.tokens: nobody "
			 "could say who they are");
}

static void check_tcp(struct loader *l)
{
	const struct msn_config *c = &l->whole->config;

	if (c->listen.tcp.count && !*c->roles.tokens)
		COMPLAIN(l, "listen", "tcp",
			 "needs roles.tokens: nobody could say who they are");
}

static bool has_certificate_names(const struct msn_config_subjects *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->at[i].name)
			return true;
	return false;
}

static void check_subjects(struct loader *l)
{
	static const char text[] =
		"uri: and dns: need listen.tls_client_ca: no certificate is "
		"asked for without it";
	const struct msn_config *c = &l->whole->config;

	if (*c->listen.tls_client_ca)
		return;
	if (has_certificate_names(&c->roles.read))
		COMPLAIN(l, "roles", "read", "%s", text);
	if (has_certificate_names(&c->roles.operate))
		COMPLAIN(l, "roles", "operate", "%s", text);
	if (has_certificate_names(&c->roles.admin))
		COMPLAIN(l, "roles", "admin", "%s", text);
}

/* The tenant that @list gives a certificate's name; NULL: none. */
static const char *tenant_of(const struct msn_config_subjects *list,
			     const struct msn_config_subject *who)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->at[i].kind == who->kind && list->at[i].name &&
		    strcmp(list->at[i].name, who->name) == 0)
			return list->at[i].tenant;
	return NULL;
}

/* A name stands for one tenant, whatever its roles. */
static void check_tenants(struct loader *l)
{
	const struct msn_config *c = &l->whole->config;
	const struct msn_config_subjects *lists[] = { &c->roles.read,
						      &c->roles.operate,
						      &c->roles.admin };
	static const char *const names[] = { "read", "operate", "admin" };

	for (size_t i = 0; i < MSN_ARRAY_LEN(lists); i++) {
		for (size_t j = 0; j < lists[i]->count; j++) {
			const struct msn_config_subject *who = &lists[i]->at[j];
			const char *first = NULL;

			for (size_t k = 0; who->name && !first && k <= i; k++)
				first = tenant_of(lists[k], who);
			if (first && strcmp(first, who->tenant) != 0)
				msn_config_problem(
					l, MSN_FAILURE_INVALID,
					origin_of(l, "roles", names[i]),
					"roles.%s: '%s' stands for the tenants "
					"%s and %s; it can be one only",
					names[i], who->name, first,
					who->tenant);
		}
	}
}

static bool same_address(const struct msn_config_address *a,
			 const struct msn_config_address *b)
{
	if (a->path || b->path)
		return a->path && b->path && strcmp(a->path, b->path) == 0;
	return a->sa_len == b->sa_len && memcmp(&a->sa, &b->sa, a->sa_len) == 0;
}

/* Port 0 is any that is free. */
static bool is_any_port(const struct msn_config_address *a)
{
	const struct sockaddr *sa = (const struct sockaddr *)&a->sa;

	return !a->path && sa->sa_data[0] == 0 && sa->sa_data[1] == 0;
}

static bool has_twice(const struct msn_config_addresses *list)
{
	for (size_t i = 0; i < list->count; i++)
		for (size_t j = 0; j < i; j++)
			if (!is_any_port(&list->at[i]) &&
			    same_address(&list->at[i], &list->at[j]))
				return true;
	return false;
}

static bool meet(const struct msn_config_addresses *a,
		 const struct msn_config_addresses *b)
{
	for (size_t i = 0; i < a->count; i++)
		for (size_t j = 0; j < b->count; j++)
			if (!is_any_port(&a->at[i]) &&
			    same_address(&a->at[i], &b->at[j]))
				return true;
	return false;
}

static void check_addresses(struct loader *l)
{
	const struct msn_config *c = &l->whole->config;

	if (has_twice(&c->listen.tcp))
		COMPLAIN(l, "listen", "tcp", "has an address twice");
	if (has_twice(&c->listen.tls) || meet(&c->listen.tls, &c->listen.tcp))
		COMPLAIN(l, "listen", "tls",
			 "has an address twice, or one of listen.tcp");
	if (has_twice(&c->listen.metrics) ||
	    meet(&c->listen.metrics, &c->listen.tcp) ||
	    meet(&c->listen.metrics, &c->listen.tls))
		COMPLAIN(l, "listen", "metrics",
			 "has an address twice, or one of listen.tcp or "
			 "listen.tls");
}

/* Is @path the one of another socket, among the first @count of the list? */
static bool is_taken(const struct msn_config *c, const char *path, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(c->listen.sockets.at[i], path) == 0)
			return true;
	return false;
}

static void check_sockets(struct loader *l)
{
	const struct msn_config *c = &l->whole->config;
	const struct msn_config_paths *sockets = &c->listen.sockets;
	const struct msn_config_addresses *metrics = &c->listen.metrics;

	for (size_t i = 0; i < sockets->count; i++)
		if (is_taken(c, sockets->at[i], i))
			COMPLAIN(l, "listen", "unix", "has '%s' twice",
				 sockets->at[i]);
	if (is_taken(c, c->listen.fd_socket, sockets->count))
		COMPLAIN(l, "listen", "fd", "'%s' is one of listen.unix",
			 c->listen.fd_socket);
	for (size_t i = 0; i < metrics->count; i++)
		if (metrics->at[i].path &&
		    (is_taken(c, metrics->at[i].path, sockets->count) ||
		     strcmp(metrics->at[i].path, c->listen.fd_socket) == 0))
			COMPLAIN(l, "listen", "metrics",
				 "'%s' is one of listen.unix, or listen.fd",
				 metrics->at[i].path);
}

static void check_roots(struct loader *l)
{
	const struct msn_config_roots *roots = &l->whole->config.files.allow;

	for (size_t i = 0; i < roots->count; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(roots->at[i].path, roots->at[j].path) == 0)
				COMPLAIN(l, "files", "allow", "has '%s' twice",
					 roots->at[i].path);
}

void msn_config_check_whole(struct loader *l)
{
	check_tls(l);
	check_tcp(l);
	check_subjects(l);
	check_tenants(l);
	check_addresses(l);
	check_sockets(l);
	check_roots(l);
}
