/*
 * A segment as a mappable, and its attachments as identities.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The object below keeps the pages and who maps them; a segment adds the books
 * that shmctl() shows.
 */
#include "sysv/sysv_internal.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct attachment {
	struct msn_identity identity;
	atomic_uint refs;
	struct msn_sysv_segment *seg; /* set once; one reference */
};

static const struct msn_mappable_ops segment_ops;
static const struct msn_identity_ops attachment_ops;

static struct msn_sysv_segment *segment_of(struct msn_mappable *obj)
{
	msn_assert(obj->ops == &segment_ops);
	return msn_container_of(obj, struct msn_sysv_segment, mappable);
}

static struct attachment *attachment_of(struct msn_identity *id)
{
	msn_assert(id->ops == &attachment_ops);
	return msn_container_of(id, struct attachment, identity);
}

/* ---- As a mappable ------------------------------------------------------- */

static struct msn_mappable *data_of(struct msn_mappable *obj)
{
	return msn_shmem_mappable(segment_of(obj)->data);
}

static int segment_add_mapping(struct msn_mappable *obj,
			       struct msn_mapping_space *ms,
			       struct msn_addr_range ar, uint64_t offset,
			       bool writable)
{
	struct msn_sysv_segment *seg = segment_of(obj);
	struct msn_sysv_host *host = seg->ns->host;
	int64_t now = host->ops->now(host);
	int32_t pid = host->ops->pid(host);
	int rc = msn_mappable_add_mapping(data_of(obj), ms, ar, offset,
					  writable);

	if (rc)
		return msn_pass(rc);
	msn_lock_scope(&seg->ns->lock);
	seg->mapped_bytes += msn_addr_range_length(ar);
	seg->atime = now;
	seg->lpid = pid;
	return 0;
}

static void segment_remove_mapping(struct msn_mappable *obj,
				   struct msn_mapping_space *ms,
				   struct msn_addr_range ar, uint64_t offset,
				   bool writable)
{
	struct msn_sysv_segment *seg = segment_of(obj);
	struct msn_sysv_host *host = seg->ns->host;
	int64_t now = host->ops->now(host);
	int32_t pid = host->ops->pid(host);
	bool reaped;

	msn_mappable_remove_mapping(data_of(obj), ms, ar, offset, writable);
	{
		msn_lock_scope(&seg->ns->lock);
		msn_assert(seg->mapped_bytes >= msn_addr_range_length(ar));
		seg->mapped_bytes -= msn_addr_range_length(ar);
		seg->dtime = now;
		seg->lpid = pid;
		reaped = msn_sysv_reap(seg);
	}
	/* Not the last one: the mapping's identity is still referenced. */
	if (reaped)
		msn_sysv_segment_unref(seg);
}

static int segment_copy_mapping(struct msn_mappable *obj,
				struct msn_mapping_space *ms,
				struct msn_addr_range src,
				struct msn_addr_range dst, uint64_t offset,
				bool writable)
{
	(void)src;
	return msn_pass(segment_add_mapping(obj, ms, dst, offset, writable));
}

static int segment_translate(struct msn_mappable *obj,
			     struct msn_obj_range required,
			     struct msn_obj_range optional, unsigned access,
			     struct msn_translation *out, size_t max, int *why)
{
	return msn_pass(msn_mappable_translate(data_of(obj), required, optional,
					       access, out, max, why));
}

static int segment_punch_hole(struct msn_mappable *obj, struct msn_obj_range r)
{
	return msn_pass(msn_mappable_punch_hole(data_of(obj), r));
}

static int segment_next_data(struct msn_mappable *obj, struct msn_obj_range r,
			     struct msn_obj_range *out)
{
	return msn_pass(msn_mappable_next_data(data_of(obj), r, out));
}

static int segment_resident(struct msn_mappable *obj, struct msn_obj_range r,
			    uint8_t *vec)
{
	return msn_pass(msn_mappable_resident(data_of(obj), r, vec));
}

static int segment_next_allocated(struct msn_mappable *obj,
				  struct msn_obj_range r,
				  struct msn_obj_range *out, bool *written)
{
	return msn_pass(
		msn_mappable_next_allocated(data_of(obj), r, out, written));
}

static const struct msn_mappable_ops segment_ops = {
	.name = "System V shared memory",
	.add_mapping = segment_add_mapping,
	.remove_mapping = segment_remove_mapping,
	.copy_mapping = segment_copy_mapping,
	.translate = segment_translate,
	.punch_hole = segment_punch_hole,
	.next_data = segment_next_data,
	.resident = segment_resident,
	.next_allocated = segment_next_allocated,
};

/* ---- Life ---------------------------------------------------------------- */

int msn_sysv_segment_new(struct msn_sysv_segment **out, struct msn_sysv *ns,
			 int32_t key, uint64_t size)
{
	msn_auto(msn_freep) struct msn_sysv_segment *seg =
		msn_alloc(sizeof(*seg));
	struct msn_shmem_opts data = {
		.memfile = ns->memfile,
		.size = size,
		.account = ns->account,
	};
	int rc;

	if (!seg)
		return msn_fail(-ENOMEM);
	rc = msn_shmem_new(&seg->data, &data);
	if (rc)
		return msn_pass(rc);
	seg->mappable.ops = &segment_ops;
	atomic_init(&seg->refs, 1);
	seg->ns = ns;
	seg->key = key;
	seg->size_bytes = size;
	snprintf(seg->name, sizeof(seg->name), "/SYSV%08x (deleted)",
		 (unsigned)key);
	*out = msn_steal(seg);
	return 0;
}

void msn_sysv_segment_unref(struct msn_sysv_segment *seg)
{
	/* Acquire-release: the last owner sees what the others did. */
	if (atomic_fetch_sub_explicit(&seg->refs, 1, memory_order_acq_rel) > 1)
		return;
	msn_identity_dec_ref(msn_shmem_identity(seg->data));
	free(seg);
}

/* ---- Attachments --------------------------------------------------------- */

static void attachment_inc_ref(struct msn_identity *id)
{
	/* Relaxed: whoever adds has a reference already. */
	atomic_fetch_add_explicit(&attachment_of(id)->refs, 1,
				  memory_order_relaxed);
}

static void attachment_dec_ref(struct msn_identity *id)
{
	struct attachment *a = attachment_of(id);

	/* Acquire-release: the last owner sees what the others did. */
	if (atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) > 1)
		return;
	msn_sysv_segment_unref(a->seg);
	free(a);
}

static struct msn_identity *data_id_of(struct msn_identity *id)
{
	return msn_shmem_identity(attachment_of(id)->seg->data);
}

static const char *attachment_name(struct msn_identity *id)
{
	return attachment_of(id)->seg->name;
}

static uint64_t attachment_device(struct msn_identity *id)
{
	return msn_identity_device_id(data_id_of(id));
}

/* Linux shows the id as the inode, and tools count on it. */
static uint64_t attachment_inode(struct msn_identity *id)
{
	return (uint64_t)attachment_of(id)->seg->id;
}

static int attachment_msync(struct msn_identity *id, struct msn_obj_range r)
{
	return msn_pass(msn_identity_msync(data_id_of(id), r));
}

static int attachment_save(struct msn_identity *id,
			   struct msn_identity_saved *out)
{
	int rc = msn_identity_save(data_id_of(id), out);

	if (rc)
		return msn_pass(rc);
	out->file.inode = attachment_inode(id);
	return 0;
}

static const struct msn_identity_ops attachment_ops = {
	.name = "System V shared memory",
	.inc_ref = attachment_inc_ref,
	.dec_ref = attachment_dec_ref,
	.mapped_name = attachment_name,
	.device_id = attachment_device,
	.inode_id = attachment_inode,
	.msync = attachment_msync,
	.save = attachment_save,
};

int msn_sysv_attachment_new(struct msn_identity **out,
			    struct msn_sysv_segment *seg)
{
	struct attachment *a = msn_alloc(sizeof(*a));

	if (!a)
		return msn_fail(-ENOMEM);
	a->identity.ops = &attachment_ops;
	atomic_init(&a->refs, 1);
	/* Relaxed: the caller keeps the segment alive. */
	atomic_fetch_add_explicit(&seg->refs, 1, memory_order_relaxed);
	a->seg = seg;
	*out = &a->identity;
	return 0;
}

/* ---- Detaching ----------------------------------------------------------- */

int msn_sysv_detach_begin(struct msn_sysv_detach *d, uint64_t addr)
{
	if (!msn_page_aligned(addr))
		return msn_fail(-EINVAL);
	*d = (struct msn_sysv_detach){ .addr = addr };
	return 0;
}

/*
 * The first mapping that shows its segment as if that began at the address
 * says which attachment is meant: it need not be the one that starts there.
 */
enum msn_sysv_detach_verdict
msn_sysv_detach_look(struct msn_sysv_detach *d, struct msn_addr_range ar,
		     struct msn_mappable *mappable,
		     const struct msn_identity *identity, uint64_t offset)
{
	bool is_segment = mappable && mappable->ops == &segment_ops;

	if (d->of && ar.end - d->addr > d->length)
		return MSN_SYSV_DETACH_STOP;
	if (!is_segment || ar.start < d->addr || ar.start - d->addr != offset)
		return MSN_SYSV_DETACH_SKIP;
	if (d->of)
		return identity == d->of ? MSN_SYSV_DETACH_TAKE
					 : MSN_SYSV_DETACH_SKIP;
	d->of = identity;
	d->length = msn_sysv_pages(segment_of(mappable)) << MSN_PAGE_SHIFT;
	return MSN_SYSV_DETACH_TAKE;
}

int msn_sysv_detach_end(const struct msn_sysv_detach *d)
{
	return d->of ? 0 : msn_fail(-EINVAL);
}
