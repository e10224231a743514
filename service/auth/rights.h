/*
 * Rights: one thread acting for somebody else.  Private to this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The kernel keeps users, groups and capabilities for each thread; that all
 * threads of a process change them together is the C library's doing.  Here the
 * system calls are made without it.
 */
#ifndef MSN_AUTH_RIGHTS_H
#define MSN_AUTH_RIGHTS_H

#include "base/cleanup.h"

#include <linux/capability.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Linux's NGROUPS_MAX. */
#define GROUPS_MAX 65536

/* What a thread had, to be given back. */
struct rights {
	bool changed; /* false: they were the same already */
	int dumpable;
	uid_t fsuid;
	gid_t fsgid;
	gid_t *groups; /* owned */
	size_t group_count;
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
};

/* Whose rights. */
struct rights_of {
	uid_t uid;
	gid_t gid;
	const gid_t *groups;
	size_t group_count;
};

/*
 * Has this thread open files as @who does from now on, without the capabilities
 * that look past modes (but for root).  -EPERM when the process may not do
 * that, -ENOMEM; the thread has its own rights then.
 *
 * @dumpable is what the process is to be (prctl(2)): the kernel resets it with
 * every change of rights.
 */
MSN_MUST_CHECK int msn_auth_rights_take(struct rights *saved,
					const struct rights_of *who,
					int dumpable);

/*
 * Gives the thread back what it had.  Does not fail: a thread that is stuck in
 * somebody else's rights ends the process.
 */
void msn_auth_rights_give_back(struct rights *saved);

#endif /* MSN_AUTH_RIGHTS_H */
