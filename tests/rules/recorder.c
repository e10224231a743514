/*
 * An object that writes down how it is called.  See recorder.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rules/recorder.h"

#include "mm/mm_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <sys/mman.h>

#define SIZE (OBJECT_PAGES * PAGE)

__attribute__((format(printf, 2, 3))) static void note(struct recorder *r,
						       const char *format, ...)
{
	size_t len = strlen(r->log);
	va_list ap;

	va_start(ap, format);
	vsnprintf(r->log + len, sizeof(r->log) - len, format, ap);
	va_end(ap);
}

/* The caller holds the space's locks, so this only looks. */
static const char *meanwhile(struct recorder *r, struct msn_addr_range ar)
{
	bool v, p;

	if (!r->mm || msn_addr_range_empty(ar))
		return "";
	v = !msn_vma_set_is_free(&r->mm->vmas, ar);
	p = !msn_pma_set_is_free(&r->mm->pmas, ar);
	return v && p ? "+vp" : v ? "+v" : p ? "+p" : "";
}

static uint64_t page_of(uint64_t addr)
{
	return (addr - BASE) / PAGE;
}

/* ---- Mappable ------------------------------------------------------------ */

static struct recorder *of_obj(struct msn_mappable *obj)
{
	return msn_container_of(obj, struct recorder, obj);
}

static int add_mapping(struct msn_mappable *obj, struct msn_mapping_space *ms,
		       struct msn_addr_range ar, uint64_t offset, bool writable)
{
	struct recorder *r = of_obj(obj);

	(void)ms;
	note(r, "add %" PRIu64 "-%" PRIu64 "@%" PRIu64 "%c%s ",
	     page_of(ar.start), page_of(ar.end), offset / PAGE,
	     writable ? 'w' : 'r', meanwhile(r, ar));
	return r->add_error;
}

static void remove_mapping(struct msn_mappable *obj,
			   struct msn_mapping_space *ms,
			   struct msn_addr_range ar, uint64_t offset,
			   bool writable)
{
	struct recorder *r = of_obj(obj);

	(void)ms;
	note(r, "remove %" PRIu64 "-%" PRIu64 "@%" PRIu64 "%c%s ",
	     page_of(ar.start), page_of(ar.end), offset / PAGE,
	     writable ? 'w' : 'r',
	     r->mm && !msn_pma_set_is_free(&r->mm->pmas, ar) ? "+p" : "");
}

static int copy_mapping(struct msn_mappable *obj, struct msn_mapping_space *ms,
			struct msn_addr_range src, struct msn_addr_range dst,
			uint64_t offset, bool writable)
{
	struct recorder *r = of_obj(obj);

	(void)ms;
	note(r,
	     "copy %" PRIu64 "-%" PRIu64 ">%" PRIu64 "-%" PRIu64 "@%" PRIu64
	     "%c%s ",
	     page_of(src.start), page_of(src.end), page_of(dst.start),
	     page_of(dst.end), offset / PAGE, writable ? 'w' : 'r',
	     meanwhile(r, dst));
	return r->copy_error;
}

static int translate(struct msn_mappable *obj, struct msn_obj_range required,
		     struct msn_obj_range optional, unsigned access,
		     struct msn_translation *out, size_t max, int *why)
{
	struct recorder *r = of_obj(obj);
	struct msn_obj_range all = r->generous ? optional : required;
	unsigned perms = MSN_ACCESS_ANY;

	(void)max;
	note(r, "ask %" PRIu64 "-%" PRIu64 "/%" PRIu64 "-%" PRIu64 ":%u ",
	     required.start / PAGE, required.end / PAGE, optional.start / PAGE,
	     optional.end / PAGE, access);
	if (r->broken)
		return 0;
	*why = r->translate_error;
	if (*why)
		return 0;
	if (all.end > r->pages * PAGE) {
		all.end = r->pages * PAGE;
		*why = MSN_MAPPABLE_E_BUS;
	}
	if (all.end <= required.start)
		return 0;
	if (r->read_first && !(access & MSN_ACCESS_WRITE))
		perms = MSN_ACCESS_READ | MSN_ACCESS_EXEC;
	*out = (struct msn_translation){ all, &r->file, all.start, perms };
	return 1;
}

static int invalidate_unsavable(struct msn_mappable *obj)
{
	note(of_obj(obj), "save ");
	return of_obj(obj)->save_error;
}

/* Nothing is in memory before it is asked for, so no fault looks around. */
static int resident(struct msn_mappable *obj, struct msn_obj_range r,
		    uint8_t *vec)
{
	(void)obj;
	memset(vec, 0, msn_obj_range_length(r) / PAGE);
	return 0;
}

static const struct msn_mappable_ops obj_ops = {
	.name = "recorder",
	.add_mapping = add_mapping,
	.remove_mapping = remove_mapping,
	.copy_mapping = copy_mapping,
	.translate = translate,
	.invalidate_unsavable = invalidate_unsavable,
	.resident = resident,
};

/* ---- File ---------------------------------------------------------------- */

static struct recorder *of_file(struct msn_file *file)
{
	return msn_container_of(file, struct recorder, file);
}

static void inc_ref(struct msn_file *file, struct msn_file_range r,
		    msn_account_id account)
{
	(void)account;
	note(of_file(file), "ref ");
	of_file(file)->page_refs += (int64_t)(msn_file_range_length(r) / PAGE);
}

static void dec_ref(struct msn_file *file, struct msn_file_range r)
{
	note(of_file(file), "unref ");
	of_file(file)->page_refs -= (int64_t)(msn_file_range_length(r) / PAGE);
}

static int map_internal(struct msn_file *file, struct msn_file_range r,
			unsigned access, struct msn_spans *out)
{
	(void)access;
	if (of_file(file)->buffered)
		return MSN_FILE_E_BUFFERED;
	out->count = 1;
	out->span[0].data = of_file(file)->bytes + r.start;
	out->span[0].len = msn_file_range_length(r);
	return 0;
}

static int buffer_read_at(struct msn_file *file, uint64_t offset, void *buf,
			  size_t len, size_t *done)
{
	memcpy(buf, of_file(file)->bytes + offset, len);
	*done = len;
	note(of_file(file), "read ");
	return 0;
}

static int buffer_write_at(struct msn_file *file, uint64_t offset,
			   const void *buf, size_t len, size_t *done)
{
	memcpy(of_file(file)->bytes + offset, buf, len);
	*done = len;
	note(of_file(file), "write ");
	return 0;
}

static const struct msn_file_ops file_ops = {
	.name = "recorder",
	.inc_ref = inc_ref,
	.dec_ref = dec_ref,
	.map_internal = map_internal,
	.buffer_read_at = buffer_read_at,
	.buffer_write_at = buffer_write_at,
};

/* ---- Identity ------------------------------------------------------------ */

static struct recorder *of_id(struct msn_identity *id)
{
	return msn_container_of(id, struct recorder, id);
}

static void id_inc(struct msn_identity *id)
{
	of_id(id)->id_refs++;
}

static void id_dec(struct msn_identity *id)
{
	of_id(id)->id_refs--;
}

static const char *id_name(struct msn_identity *id)
{
	(void)id;
	return "/recorder";
}

static uint64_t id_device(struct msn_identity *id)
{
	(void)id;
	return 0x801;
}

static uint64_t id_inode(struct msn_identity *id)
{
	(void)id;
	return 42;
}

static int id_msync(struct msn_identity *id, struct msn_obj_range r)
{
	note(of_id(id), "sync %" PRIu64 "-%" PRIu64 " ", r.start / PAGE,
	     r.end / PAGE);
	return 0;
}

static const struct msn_identity_ops id_ops = {
	.name = "recorder",
	.inc_ref = id_inc,
	.dec_ref = id_dec,
	.mapped_name = id_name,
	.device_id = id_device,
	.inode_id = id_inode,
	.msync = id_msync,
};

/* ---- Use ----------------------------------------------------------------- */

void recorder_init(struct recorder *r)
{
	*r = (struct recorder){ .obj.ops = &obj_ops,
				.id.ops = &id_ops,
				.file.ops = &file_ops,
				.pages = OBJECT_PAGES };
	r->bytes = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(r->bytes != MAP_FAILED);
	for (int i = 0; i < OBJECT_PAGES; i++)
		memset(r->bytes + (size_t)i * PAGE, 'A' + i, PAGE);
}

void recorder_deinit(struct recorder *r)
{
	EXPECT(r->id_refs == 0);
	EXPECT(r->page_refs == 0);
	munmap(r->bytes, SIZE);
}

struct msn_mmap_opts of_recorder(struct recorder *r, uint64_t page,
				 uint64_t pages, bool private)
{
	struct msn_mmap_opts o = anon(page, pages);

	o.mappable = &r->obj;
	o.mapping_identity = &r->id;
	o.private = private;
	return o;
}

const char *recorder_take(struct recorder *r)
{
	static char taken[sizeof(r->log)];

	strcpy(taken, r->log);
	r->log[0] = '\0';
	return taken;
}
