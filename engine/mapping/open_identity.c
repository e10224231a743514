/*
 * Open identity: asks the inode's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mapping/open_identity.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

struct open_identity {
	struct msn_identity identity;
	struct msn_identity *inode; /* set once; a reference */
	atomic_uint refs;
};

static const struct msn_identity_ops open_ops;

static struct open_identity *open_of(struct msn_identity *id)
{
	msn_assert(id->ops == &open_ops);
	return msn_container_of(id, struct open_identity, identity);
}

static void open_inc_ref(struct msn_identity *id)
{
	/* Relaxed: whoever adds has a reference already. */
	atomic_fetch_add_explicit(&open_of(id)->refs, 1, memory_order_relaxed);
}

static void open_dec_ref(struct msn_identity *id)
{
	struct open_identity *o = open_of(id);

	/* Acquire-release: the last owner sees what the others did. */
	if (atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) > 1)
		return;
	msn_identity_dec_ref(o->inode);
	free(o);
}

static const char *open_mapped_name(struct msn_identity *id)
{
	return msn_identity_mapped_name(open_of(id)->inode);
}

static uint64_t open_device_id(struct msn_identity *id)
{
	return msn_identity_device_id(open_of(id)->inode);
}

static uint64_t open_inode_id(struct msn_identity *id)
{
	return msn_identity_inode_id(open_of(id)->inode);
}

static int open_msync(struct msn_identity *id, struct msn_obj_range r)
{
	return msn_pass(msn_identity_msync(open_of(id)->inode, r));
}

static int open_save(struct msn_identity *id, struct msn_identity_saved *out)
{
	return msn_pass(msn_identity_save(open_of(id)->inode, out));
}

static const struct msn_identity_ops open_ops = {
	.name = "open file",
	.inc_ref = open_inc_ref,
	.dec_ref = open_dec_ref,
	.mapped_name = open_mapped_name,
	.device_id = open_device_id,
	.inode_id = open_inode_id,
	.msync = open_msync,
	.save = open_save,
};

int msn_open_identity_new(struct msn_identity **out, struct msn_identity *inode)
{
	struct open_identity *o = msn_alloc(sizeof(*o));

	if (!o)
		return msn_fail(-ENOMEM);
	o->identity.ops = &open_ops;
	o->inode = inode;
	atomic_init(&o->refs, 1);
	msn_identity_inc_ref(inode);
	*out = &o->identity;
	return 0;
}
