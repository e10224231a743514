/*
 * setfsuid(2), setfsgid(2), setgroups(2) and capset(2) of one thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Order matters.  Groups go first, since changing them needs CAP_SETGID, then
 * the user, then capabilities.  CAP_SETUID and CAP_SETGID stay in effect, for
 * the way back; they open no file.
 *
 * One thing is the process's and not the thread's: whether it may be dumped and
 * looked at by its own user.  A change of the file system user resets it, so it
 * is put back.  Meanwhile files in /proc/self belong to root, which root does
 * not notice.
 */
#include "rights.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static uid_t fsuid_now(void)
{
	/* No user has this number, so nothing changes. */
	return (uid_t)syscall(SYS_setfsuid, -1);
}

static gid_t fsgid_now(void)
{
	return (gid_t)syscall(SYS_setfsgid, -1);
}

static bool set_fsuid(uid_t uid)
{
	syscall(SYS_setfsuid, uid);
	return fsuid_now() == uid;
}

static bool set_fsgid(gid_t gid)
{
	syscall(SYS_setfsgid, gid);
	return fsgid_now() == gid;
}

static int set_groups(const gid_t *groups, size_t count)
{
	return syscall(SYS_setgroups, count, groups) ? -errno : 0;
}

/* ---- Capabilities ------------------------------------------------------- */

typedef struct __user_cap_data_struct cap_data;

static int get_caps(cap_data *caps)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3,
						 0 };

	return syscall(SYS_capget, &head, caps) ? -errno : 0;
}

static int set_caps(const cap_data *caps)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3,
						 0 };

	return syscall(SYS_capset, &head, caps) ? -errno : 0;
}

/* Leaves in effect only what the way back needs. */
static int drop_caps(const cap_data *had)
{
	cap_data caps[_LINUX_CAPABILITY_U32S_3];

	memcpy(caps, had, sizeof(caps));
	caps[0].effective &= CAP_TO_MASK(CAP_SETUID) | CAP_TO_MASK(CAP_SETGID);
	caps[1].effective = 0;
	return set_caps(caps);
}

static bool may_change(const cap_data *caps)
{
	const __u32 needed = CAP_TO_MASK(CAP_SETUID) | CAP_TO_MASK(CAP_SETGID);

	return (caps[0].effective & needed) == needed;
}

/* ---- Groups ------------------------------------------------------------- */

/* Of this thread, into @saved. */
static int save_groups(struct rights *saved)
{
	long count = syscall(SYS_getgroups, 0, NULL);

	if (count < 0)
		return msn_fail(-errno);
	saved->groups = msn_alloc_array((size_t)count + 1, sizeof(gid_t));
	if (!saved->groups)
		return msn_fail(-ENOMEM);
	count = syscall(SYS_getgroups, count, saved->groups);
	if (count < 0)
		return msn_fail(-errno);
	saved->group_count = (size_t)count;
	return 0;
}

static bool has(const gid_t *groups, size_t count, gid_t gid)
{
	for (size_t i = 0; i < count; i++)
		if (groups[i] == gid)
			return true;
	return false;
}

/*
 * Can this thread do nothing by its groups that @who could not?  The other way
 * round it may be: then more is refused than need be.
 */
static bool has_no_more(const struct rights *own, const struct rights_of *who)
{
	if (own->fsgid != who->gid &&
	    !has(who->groups, who->group_count, own->fsgid))
		return false;
	for (size_t i = 0; i < own->group_count; i++)
		if (own->groups[i] != who->gid &&
		    !has(who->groups, who->group_count, own->groups[i]))
			return false;
	return true;
}

/* ---- There and back ----------------------------------------------------- */

static void go_back(const struct rights *saved)
{
	msn_assert(set_fsuid(saved->fsuid));
	msn_assert(set_fsgid(saved->fsgid));
	msn_assert(set_groups(saved->groups, saved->group_count) == 0);
	msn_assert(set_caps(saved->caps) == 0);
	/* 2, which only the kernel sets, cannot be set here. */
	if (saved->dumpable == 1 && prctl(PR_GET_DUMPABLE) != 1)
		prctl(PR_SET_DUMPABLE, 1);
}

static int go(const struct rights *saved, const struct rights_of *who)
{
	if (msn_fault("rights.groups") ||
	    set_groups(who->groups, who->group_count))
		return msn_fail(-EPERM);
	if (msn_fault("rights.gid") || !set_fsgid(who->gid))
		return msn_fail(-EPERM);
	if (msn_fault("rights.uid") || !set_fsuid(who->uid))
		return msn_fail(-EPERM);
	if (who->uid != 0 &&
	    (msn_fault("rights.caps") || drop_caps(saved->caps)))
		return msn_fail(-EPERM);
	return 0;
}

int msn_auth_rights_take(struct rights *saved, const struct rights_of *who,
			 int dumpable)
{
	struct rights r = { .dumpable = dumpable };
	int rc = get_caps(r.caps);

	r.fsuid = fsuid_now();
	r.fsgid = fsgid_now();
	if (rc == 0)
		rc = save_groups(&r);
	if (rc == 0 && may_change(r.caps) && who->group_count <= GROUPS_MAX) {
		r.changed = true;
		rc = go(&r, who);
		if (rc)
			go_back(&r);
	} else if (rc == 0 && (who->uid != r.fsuid || !has_no_more(&r, who))) {
		rc = msn_fail(-EPERM);
	}
	if (rc) {
		free(r.groups);
		return msn_pass(rc);
	}
	*saved = r;
	return 0;
}

void msn_auth_rights_give_back(struct rights *saved)
{
	if (saved->changed)
		go_back(saved);
	free(saved->groups);
	*saved = (struct rights){ 0 };
}
