/*
 * Identity dispatch.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mapping/identity.h"

#include "base/assert.h"
#include "base/error.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

struct msn_file_identity msn_file_identity_of(const struct stat *st)
{
	return (struct msn_file_identity){
		.dev_major = major(st->st_dev),
		.dev_minor = minor(st->st_dev),
		.inode = st->st_ino,
		.size_bytes = (uint64_t)st->st_size,
		.mtime_ns = st->st_mtim.tv_sec * INT64_C(1000000000) +
			    st->st_mtim.tv_nsec,
	};
}

void msn_identity_inc_ref(struct msn_identity *id)
{
	if (id)
		id->ops->inc_ref(id);
}

void msn_identity_dec_ref(struct msn_identity *id)
{
	if (id)
		id->ops->dec_ref(id);
}

const char *msn_identity_mapped_name(struct msn_identity *id)
{
	const char *name = id->ops->mapped_name(id);

	msn_assert(name);
	return name;
}

uint64_t msn_identity_device_id(struct msn_identity *id)
{
	return id->ops->device_id(id);
}

uint64_t msn_identity_inode_id(struct msn_identity *id)
{
	return id->ops->inode_id(id);
}

int msn_identity_msync(struct msn_identity *id, struct msn_obj_range r)
{
	msn_assert(!msn_obj_range_empty(r));
	return msn_pass(id->ops->msync(id, r));
}

int msn_identity_save(struct msn_identity *id, struct msn_identity_saved *out)
{
	int rc;

	if (!id->ops->save)
		return -EOPNOTSUPP;
	rc = id->ops->save(id, out);
	msn_assert(rc <= 0);
	return msn_pass(rc);
}
