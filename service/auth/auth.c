/*
 * Who a caller is, and what it may do.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "auth_internal.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static struct msn_log_message bad_token = {
	.id = "auth.token",
	.text = "a token is not valid",
	.level = MSN_LOG_WARNING,
	.component = MSN_LOG_AUTH,
};
static struct msn_log_message foreign_user = {
	.id = "auth.foreign",
	.text = "a caller's user cannot be named here",
	.level = MSN_LOG_WARNING,
	.component = MSN_LOG_AUTH,
};

/* ---- The policy --------------------------------------------------------- */

void msn_auth_policy_unref(struct policy *p)
{
	/* Release what was read here, acquire what others read. */
	if (!p ||
	    atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) > 1)
		return;
	msn_auth_tokens_deinit(&p->tokens);
	msn_config_unref(p->config);
	free(p);
}

struct policy *msn_auth_policy_get(struct msn_auth *a)
{
	msn_lock_scope(&a->lock);
	atomic_fetch_add_explicit(&a->policy->refs, 1, memory_order_relaxed);
	return a->policy;
}

static int policy_new(struct policy **out, struct msn_config *config,
		      struct msn_failure *why)
{
	msn_auto(msn_auth_policy_unrefp) struct policy *p =
		msn_alloc(sizeof(*p));
	int rc = 0;

	if (!p)
		return msn_failure_errno(why, -ENOMEM,
					 "cannot keep the roles of callers");
	atomic_init(&p->refs, 1);
	p->config = msn_config_ref(config);
	if (*config->roles.tokens)
		rc = msn_auth_tokens_read(&p->tokens, config->roles.tokens,
					  why);
	if (rc)
		return msn_pass(rc);
	*out = msn_steal(p);
	return 0;
}

/* What Linux gives those that it has no number for, unless told otherwise. */
#define OVERFLOW_UID 65534

static uid_t overflow_uid(void)
{
	msn_auto(msn_freep) char *text = NULL;

	if (msn_read_file(&text, NULL, AT_FDCWD, "/proc/sys/kernel/overflowuid",
			  4096))
		return OVERFLOW_UID;
	return (uid_t)strtoul(text, NULL, 10);
}

/*
 * In a user namespace that does not have all users, those of others look the
 * same.  One that has them all maps 0 to 0, 4294967295 of them.
 */
static uid_t find_foreign_uid(void)
{
	msn_auto(msn_freep) char *map = NULL;
	unsigned long inside, outside, count;

	if (msn_read_file(&map, NULL, AT_FDCWD, "/proc/self/uid_map", 65536) ==
		    0 &&
	    sscanf(map, "%lu %lu %lu", &inside, &outside, &count) == 3 &&
	    inside == 0 && outside == 0 && count == UINT32_MAX)
		return (uid_t)-1;
	return overflow_uid();
}

int msn_auth_new(struct msn_auth **out, struct msn_config *config,
		 struct msn_failure *why)
{
	msn_auto(msn_freep) struct msn_auth *a = msn_alloc(sizeof(*a));
	int rc;

	if (!a)
		return msn_failure_errno(why, -ENOMEM,
					 "cannot keep the roles of callers");
	rc = policy_new(&a->policy, config, why);
	if (rc)
		return msn_pass(rc);
	msn_mutex_init(&a->lock, MSN_RANK_LEAF);
	a->own_uid = geteuid();
	a->foreign_uid = find_foreign_uid();
	a->dumpable = prctl(PR_GET_DUMPABLE);
	*out = msn_steal(a);
	return 0;
}

int msn_auth_reload(struct msn_auth *a, struct msn_config *config,
		    struct msn_failure *why)
{
	struct policy *next, *old;
	int rc = policy_new(&next, config, why);

	if (rc)
		return msn_pass(rc);
	msn_mutex_lock(&a->lock);
	old = a->policy;
	a->policy = next;
	msn_mutex_unlock(&a->lock);
	msn_auth_policy_unref(old);
	return 0;
}

struct msn_auth *msn_auth_free(struct msn_auth *a)
{
	if (!a)
		return NULL;
	msn_auth_policy_unref(a->policy);
	msn_mutex_deinit(&a->lock);
	free(a);
	return NULL;
}

/* ---- Roles -------------------------------------------------------------- */

static bool has_group(const struct msn_peer *p, gid_t gid)
{
	bool found = p->gid == gid;

	for (size_t i = 0; !found && i < p->group_count; i++)
		found = p->groups[i] == gid;
	return found;
}

static bool is_subject(const struct msn_config_subject *s,
		       const struct msn_peer *p)
{
	bool local = p->transport == MSN_TRANSPORT_UNIX;
	bool named = p->transport == MSN_TRANSPORT_TLS && *p->certificate;
	bool uri = named && strchr(p->certificate, ':');

	switch (s->kind) {
	case MSN_CONFIG_ANY:
		return local;
	case MSN_CONFIG_UID:
		return local && s->id == p->uid;
	case MSN_CONFIG_GID:
		return local && has_group(p, s->id);
	case MSN_CONFIG_URI:
		return named && uri && strcmp(s->name, p->certificate) == 0;
	case MSN_CONFIG_DNS:
		return named && !uri && strcmp(s->name, p->certificate) == 0;
	}
	return false;
}

static const struct msn_config_subject *
find_subject(const struct msn_config_subjects *list, const struct msn_peer *p)
{
	for (size_t i = 0; i < list->count; i++)
		if (is_subject(&list->at[i], p))
			return &list->at[i];
	return NULL;
}

/* The highest role that @p has, and why; NULL and MSN_ROLE_NONE: none. */
static const struct msn_config_subject *find_role(const struct msn_config *c,
						  const struct msn_peer *p,
						  enum msn_role *role)
{
	const struct {
		const struct msn_config_subjects *list;
		enum msn_role role;
	} lists[] = {
		{ &c->roles.admin, MSN_ROLE_ADMIN },
		{ &c->roles.operate, MSN_ROLE_OPERATE },
		{ &c->roles.read, MSN_ROLE_READ },
	};

	*role = MSN_ROLE_NONE;
	for (size_t i = 0; i < MSN_ARRAY_LEN(lists); i++) {
		const struct msn_config_subject *s =
			find_subject(lists[i].list, p);

		if (s) {
			*role = lists[i].role;
			return s;
		}
	}
	return NULL;
}

/* ---- Callers ------------------------------------------------------------ */

static void set_owner(struct msn_peer *p, const char *owner)
{
	snprintf(p->owner, sizeof(p->owner), "%s", owner);
}

static int accept_process(struct msn_auth *a, const struct msn_config *c,
			  struct msn_peer *p)
{
	if (p->uid == a->foreign_uid) {
		msn_log(&foreign_user, msn_log_text("peer", p->address),
			msn_log_unsigned("uid", p->uid));
		return msn_fail(-EACCES);
	}
	find_role(c, p, &p->role);
	if (p->uid == 0 || p->uid == a->own_uid)
		p->role = MSN_ROLE_ADMIN;
	snprintf(p->owner, sizeof(p->owner), "uid:%u", (unsigned)p->uid);
	return 0;
}

/* What a certificate says, or nobody yet: a token may come with a call. */
static void accept_stranger(const struct msn_config *c, struct msn_peer *p)
{
	const struct msn_config_subject *s = find_role(c, p, &p->role);

	if (s)
		snprintf(p->owner, sizeof(p->owner), "tenant:%s", s->tenant);
	else
		set_owner(p, "anonymous");
}

static int accept_token(const struct policy *policy, struct msn_peer *p,
			const char *text)
{
	const struct token *t = msn_auth_tokens_find(&policy->tokens, text);

	if (!t) {
		/* Not a word of the token: it may be a good one, cut. */
		msn_log(&bad_token, msn_log_text("peer", p->address),
			msn_log_text("owner", p->owner));
		return msn_fail(-EACCES);
	}
	p->role = t->role;
	set_owner(p, t->owner);
	return 0;
}

int msn_auth_peer(struct msn_auth *a, struct msn_peer *peer, const char *token)
{
	msn_auto(msn_auth_policy_unrefp) struct policy *policy =
		msn_auth_policy_get(a);

	if (token)
		return msn_pass(accept_token(policy, peer, token));
	if (peer->transport == MSN_TRANSPORT_UNIX)
		return msn_pass(accept_process(a, policy->config, peer));
	accept_stranger(policy->config, peer);
	return 0;
}
