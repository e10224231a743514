/*
 * Manifest: one snapshot, complete.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a snapshot's mappings are and where in the packs each of its pages is.
 * Flat: a child lists the extents that it shares with its parent, so nothing is
 * walked at restore.  Encoded by protobuf (proto/memsnap/v1/manifest.proto,
 * docs/formats/manifest.md) with its extents in delta-coded columns; this is
 * the decoded form, checked at the edge: after msn_manifest_decode() every
 * promise of this header holds, whoever wrote the bytes.
 */
#ifndef MSN_FORMAT_MANIFEST_H
#define MSN_FORMAT_MANIFEST_H

#include "base/cleanup.h"
#include "base/failure.h"
#include "format/uid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Newest version of the encoding that this program reads and writes. */
#define MSN_MANIFEST_VERSION 2

/*
 * A mapping of 20 encoded bytes becomes two structs of some 150 and a name of
 * its own; an extent of 5 bytes becomes 40 in columns and 24 in a list.
 */
#define MSN_MANIFEST_MEMORY_FACTOR 48

/* struct msn_extent.pack of pages that are zero and stored nowhere. */
#define MSN_EXTENT_ZERO UINT32_MAX

/*
 * A run of pages that stand side by side in one frame of one pack
 * (format/layout.h).  Page numbers are address / 4096 for the pages of a space,
 * and count from 0 in objects and blobs.  A zero extent has frame and at 0.
 */
struct msn_extent {
	uint64_t page;	/* first page */
	uint32_t count; /* pages, > 0 */
	uint32_t pack;	/* index into the pack table, or MSN_EXTENT_ZERO */
	uint32_t frame; /* page of the pack with the frame's header */
	uint32_t at;	/* page of the pack with the first page's bytes */
};

/* Ascending by page, disjoint.  A page in no extent is zero (or the file's). */
struct msn_extents {
	struct msn_extent *list;
	size_t count, cap;
};

struct msn_manifest_pack {
	uint64_t id;	     /* names the file */
	uint64_t generation; /* of its contents; grows when it is recycled */
};

enum msn_mapping_kind {
	MSN_MAPPING_ANON = 1, /* private memory of the space */
	MSN_MAPPING_FILE,     /* a host file, found again by its path */
	MSN_MAPPING_OBJECT,   /* shared memory that only the space knows */
	MSN_MAPPING_KERNEL,   /* vdso and the like: the kernel gives its own */
};

struct msn_manifest_mapping {
	uint64_t start, end; /* page aligned, start < end */
	enum msn_mapping_kind kind;
	uint8_t perms, max_perms; /* enum msn_access */
	bool shared, grows_down, stack;
	uint8_t name_mut;   /* enum msn_name_mut */
	uint8_t mlock_mode; /* enum msn_mlock_mode */
	uint64_t offset;    /* into the file or object */
	char *name;	    /* as a maps listing shows it; never NULL */
	uint32_t dev_major, dev_minor; /* FILE, OBJECT; else 0 */
	uint64_t inode;
	uint64_t file_size;    /* FILE: when it was saved */
	int64_t file_mtime_ns; /* FILE: since the epoch */
	uint32_t object;       /* OBJECT: index into the object table */

	/* What only later calls can tell; only if @exact.  See mm/exact.h. */
	bool exact;
	uint32_t vm_flags;    /* MSN_MANIFEST_VM_FLAGS at most */
	uint64_t anon_offset; /* of anonymous memory: where it was made */
	uint32_t history;     /* 0: none; at most the number of mappings */
	bool forked;	      /* with a history only */
	uint32_t policy;      /* 0: none; 1 + index into the policy table */
	/* FILE, OBJECT: by which open file of it; two make two mappings. */
	uint32_t opened;
};

/* Do pages that are in no extent show a file's or an object's? */
static inline bool
msn_manifest_mapping_backed(const struct msn_manifest_mapping *v)
{
	return v->kind == MSN_MAPPING_FILE || v->kind == MSN_MAPPING_OBJECT;
}

/* Every bit that vm_flags can have (enum msn_vma_flag). */
#define MSN_MANIFEST_VM_FLAGS ((UINT32_C(1) << 26) - 1)

/* Pages that are in place.  @how is enum msn_presence of mm/exact.h. */
struct msn_manifest_presence {
	uint64_t page, count; /* count > 0 */
	uint8_t how;	      /* 1 to 5; of an object 1 or 6 */
};

/* Ascending by page, disjoint. */
struct msn_presence_list {
	struct msn_manifest_presence *list;
	size_t count;
};

#define MSN_MANIFEST_NODE_WORDS 16

struct msn_manifest_policy {
	uint16_t mode, flags;
	uint64_t nodes[MSN_MANIFEST_NODE_WORDS];
	uint64_t user_nodes[MSN_MANIFEST_NODE_WORDS]; /* as asked for */
};

struct msn_manifest_space {
	uint64_t heap_start, heap_end; /* bytes; both 0: no heap */
	uint32_t future_locks;	       /* bits of vm_flags */
	uint32_t policy;       /* 0: none; 1 + index into the policy table */
	uint64_t stuck_locked; /* bytes; page multiple */
	/* The most that was ever mapped, bytes; page multiple; 0: not known. */
	uint64_t peak;
};

/* Memory that only the space knows: its pages once, however often mapped. */
struct msn_manifest_object {
	uint64_t size_bytes; /* page multiple unless @exact */
	struct msn_extents pages;

	/* What no mapping of it tells; only if @exact. */
	bool exact;
	char *name;	      /* as a maps listing shows it; else NULL */
	uint32_t mode, seals; /* 07777; F_SEAL_* */
	/* Pages that are there, past the end too; each stored one is. */
	struct msn_presence_list present;
};

/* The object's size, rounded up to pages. */
uint64_t msn_manifest_object_pages(const struct msn_manifest_object *o);

/* Opaque state beside the memory: registers, a VMM's devices. */
struct msn_manifest_blob {
	char *name; /* not empty, unique */
	uint64_t size_bytes;
	struct msn_extents pages;
};

struct msn_manifest_text {
	char *key, *value;
};

/* What the save found, in pages. */
struct msn_manifest_stats {
	uint64_t mapped; /* length of all mappings */
	uint64_t
		private_pages; /* with bytes of their own, zero ones left out */
	uint64_t stored;       /* written to packs by this save */
	uint64_t inherited; /* the parent's extents, not read or not changed */
	uint64_t deduped;   /* equal to another page of this save */
	uint64_t zero;	    /* looked at and found all zero */
};

struct msn_manifest {
	struct msn_uid uid;
	struct msn_uid parent; /* none: all zero */
	char *name;	       /* when it was encoded; "" for none */
	int64_t created_ns;    /* since the epoch */
	struct msn_manifest_stats stats;

	struct msn_manifest_text *labels; /* the user's; UTF-8, keys unique */
	size_t label_count;
	struct msn_manifest_text *attrs; /* the saver's: pid, comm, arch ... */
	size_t attr_count;

	struct msn_manifest_mapping *mappings; /* ascending, disjoint */
	size_t mapping_count;
	struct msn_manifest_pack *packs;
	size_t pack_count;
	struct msn_extents pages; /* private pages, each in some mapping */
	struct msn_manifest_object *objects;
	size_t object_count;
	struct msn_manifest_blob *blobs;
	size_t blob_count;

	struct msn_manifest_space space;
	struct msn_presence_list present;
	struct msn_manifest_policy *policies;
	size_t policy_count;
};

MSN_MUST_CHECK int msn_manifest_new(struct msn_manifest **out);

/* NULL is allowed.  Returns NULL. */
struct msn_manifest *msn_manifest_free(struct msn_manifest *m);
MSN_DEFINE_AUTO(struct msn_manifest, msn_manifest_free)

/*
 * Encodes @m into a buffer for free().  -EFBIG past MSN_MANIFEST_BYTES_MAX,
 * -EINVAL if msn_manifest_check() has something to say.
 */
MSN_MUST_CHECK int msn_manifest_encode(const struct msn_manifest *m,
				       uint8_t **out, size_t *len);

/*
 * Decodes and checks @len untrusted bytes.  -EBADMSG names what is wrong,
 * -EOPNOTSUPP a newer version.  Takes at most MSN_MANIFEST_MEMORY_FACTOR bytes
 * of memory for each byte of @len, and 64 KiB.
 */
MSN_MUST_CHECK int msn_manifest_decode(struct msn_manifest **out,
				       const uint8_t *bytes, size_t len,
				       struct msn_failure *why);

/* Text of the first promise of this header that @m breaks, or NULL. */
const char *msn_manifest_check(const struct msn_manifest *m);

/*
 * What is wrong with the name of a snapshot, or NULL.  Names are made of a-z,
 * 0-9, '.', '_' and '-', start with a letter or digit, and are no uid.
 */
const char *msn_snapshot_name_check(const char *name);

/*
 * Appends @e, joining it to the last extent where both are one run.  -ENOMEM.
 * Before: e.page is not below the end of the last extent.
 */
MSN_MUST_CHECK int msn_extents_append(struct msn_extents *list,
				      struct msn_extent e);
void msn_extents_deinit(struct msn_extents *list);

/* The first extent that contains @page or lies above it, or NULL. */
const struct msn_extent *msn_extents_lower(const struct msn_extents *list,
					   uint64_t page);

/*
 * Zeroes those of the pages [page, page + count) at @dst that stand in a zero
 * extent.  A reader leaves them alone: over a file's bytes they are the
 * caller's to blank.
 */
void msn_extents_blank(const struct msn_extents *list, uint64_t page,
		       uint64_t count, uint8_t *dst);

/* Index of the pack in the table, adding it if need be; or -ENOMEM. */
MSN_MUST_CHECK int msn_manifest_pack_index(struct msn_manifest *m,
					   struct msn_manifest_pack pack,
					   uint32_t *index);

/*
 * Adders: copy their texts.  -ENOMEM, or -E2BIG past the limit.  They do not
 * look for sense: msn_manifest_check() does.
 */
MSN_MUST_CHECK int msn_manifest_add_label(struct msn_manifest *m,
					  const char *key, const char *value);
MSN_MUST_CHECK int msn_manifest_add_attr(struct msn_manifest *m,
					 const char *key, const char *value);
MSN_MUST_CHECK int
msn_manifest_add_mapping(struct msn_manifest *m,
			 const struct msn_manifest_mapping *mapping);

/* The same for an object, whose pages come later; *@index becomes its own. */
MSN_MUST_CHECK int
msn_manifest_add_object(struct msn_manifest *m,
			const struct msn_manifest_object *object,
			uint32_t *index);

MSN_MUST_CHECK int msn_presence_append(struct msn_presence_list *list,
				       const struct msn_manifest_presence *run);

/* Index of an equal policy in the table, which is added if need be. */
MSN_MUST_CHECK int
msn_manifest_policy_index(struct msn_manifest *m,
			  const struct msn_manifest_policy *policy,
			  uint32_t *index);

/* The first run that contains @page or lies above it, or NULL. */
const struct msn_manifest_presence *
msn_presence_lower(const struct msn_presence_list *list, uint64_t page);

/* The attribute's value, or NULL. */
const char *msn_manifest_attr(const struct msn_manifest *m, const char *key);

/* The blob of that name, or NULL. */
const struct msn_manifest_blob *msn_manifest_blob(const struct msn_manifest *m,
						  const char *name);

/* The mapping that contains @addr, or NULL. */
const struct msn_manifest_mapping *
msn_manifest_mapping_at(const struct msn_manifest *m, uint64_t addr);

#endif /* MSN_FORMAT_MANIFEST_H */
