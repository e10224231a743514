/*
 * Core file: headers last, since only then all places are known.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Program headers are as long as there are segments, so notes and memory are
 * written behind the room that they will need.
 */
#include "corefile/corefile.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "corefile/corefile_internal.h"
#include "digest/digest.h"
#include "range/access.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Pages that are read together. */
#define BATCH_PAGES 256
#define BATCH_BYTES (BATCH_PAGES * MSN_PAGE_SIZE)

struct core {
	const struct msn_corefile_opts *opts;
	struct msn_core_reader r;
	struct msn_core_plan plan;
	struct msn_core_out out;
	uint8_t *batch; /* BATCH_BYTES */
	uint64_t notes_offset, notes_bytes;
	uint64_t done_bytes; /* of plan.file_bytes */
	struct msn_corefile_stats stats;
};

static int failed(const struct core *c, int rc)
{
	return msn_failure_errno(c->r.why, rc, "writing %s",
				 c->opts->path ? c->opts->path : "the core");
}

/* ---- Memory -------------------------------------------------------------- */

/* Over what is in the batch: stored pages of one layer. */
static int read_layer(struct core *c, const struct msn_core_layer *l,
		      struct msn_addr_range ar)
{
	uint64_t page = ar.start / MSN_PAGE_SIZE + l->shift;
	uint64_t count = msn_addr_range_length(ar) / MSN_PAGE_SIZE;

	msn_extents_blank(l->x, page, count, c->batch);
	return msn_pass(msn_reader_read(c->r.reader, l->x, page, count,
					c->batch, c->r.why));
}

/* Bytes of the addresses @ar of one mapping: a file's, then stored ones. */
static int read_batch(struct core *c, const struct msn_manifest_mapping *v,
		      int host, struct msn_addr_range ar)
{
	size_t len = msn_addr_range_length(ar);
	struct msn_core_layers layers = msn_core_layers(c->r.m, v);
	ssize_t n = 0;
	int rc = 0;

	if (host >= 0)
		n = msn_pread_full(host, c->batch, len,
				   v->offset + (ar.start - v->start));
	if (n < 0)
		return msn_failure_errno(c->r.why, (int)n, "reading %s",
					 v->name);
	memset(c->batch + n, 0, len - (size_t)n);
	for (size_t i = layers.count; rc == 0 && i-- > 0;)
		rc = read_layer(c, &layers.list[i], ar);
	return msn_pass(rc);
}

/* Writes pages that are not zero; the others become holes. */
static int write_batch(struct core *c, const struct msn_core_segment *s,
		       struct msn_addr_range ar)
{
	uint64_t at = s->offset + (ar.start - s->addr.start);
	size_t len = msn_addr_range_length(ar);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < len; i += MSN_PAGE_SIZE) {
		if (msn_page_is_zero(c->batch + i))
			continue;
		rc = msn_core_out_seek(&c->out, at + i);
		if (rc == 0)
			rc = msn_core_out_write(&c->out, c->batch + i,
						MSN_PAGE_SIZE);
	}
	return rc ? failed(c, rc) : 0;
}

/* Where the next bytes are: nothing is stored in between. */
static uint64_t skip_gap(const struct core *c, const struct msn_core_segment *s,
			 uint64_t at, uint64_t end)
{
	struct msn_core_layers layers =
		msn_core_layers(c->r.m, &c->r.m->mappings[s->mapping]);

	if (s->host)
		return at;
	return msn_core_next_stored(&layers, at / MSN_PAGE_SIZE,
				    end / MSN_PAGE_SIZE) *
	       MSN_PAGE_SIZE;
}

static int report(struct core *c, uint64_t bytes)
{
	c->done_bytes += bytes;
	if (!c->opts->progress ||
	    !c->opts->progress(c->opts->progress_ctx, c->done_bytes,
			       c->plan.file_bytes))
		return 0;
	return msn_failure_set(c->r.why, -ECANCELED, MSN_FAILURE_CANCELLED,
			       "the export was cancelled");
}

static int write_segment(struct core *c, const struct msn_core_segment *s)
{
	const struct msn_manifest_mapping *v = &c->r.m->mappings[s->mapping];
	uint64_t at = s->addr.start, end = s->addr.start + s->file_bytes;
	int rc = 0;

	msn_auto(msn_closep) int host = s->host ? msn_core_open_same(v) : -1;
	if (s->host && host < 0)
		return msn_failure_set(c->r.why, -ESTALE, MSN_FAILURE_ABORTED,
				       "%s changed while it was read: try "
				       "again",
				       v->name);
	while (rc == 0) {
		uint64_t from = skip_gap(c, s, at, end);
		struct msn_addr_range ar = { from, end };

		rc = report(c, from - at);
		if (rc || from == end)
			break;
		if (end - from > BATCH_BYTES)
			ar.end = from + BATCH_BYTES;
		rc = read_batch(c, v, host, ar);
		if (rc == 0)
			rc = write_batch(c, s, ar);
		if (rc == 0)
			rc = report(c, ar.end - from);
		at = ar.end;
	}
	return msn_pass(rc);
}

static int write_memory(struct core *c)
{
	uint64_t offset;
	int rc = 0;

	if (!msn_page_up(c->out.at, &offset))
		return failed(c, -EFBIG);
	for (size_t i = 0; rc == 0 && i < c->plan.count; i++) {
		struct msn_core_segment *s = &c->plan.list[i];

		s->offset = offset;
		if (__builtin_add_overflow(offset, s->file_bytes, &offset) ||
		    offset > INT64_MAX)
			return failed(c, -EFBIG);
		if (s->file_bytes)
			rc = write_segment(c, s);
	}
	if (rc)
		return msn_pass(rc);
	c->stats.size_bytes = offset;
	rc = msn_core_out_flush(&c->out);
	/* Holes at the end get their length. */
	if (rc == 0 && ftruncate(c->out.fd, (off_t)offset) < 0)
		rc = -errno;
	return rc ? failed(c, rc) : 0;
}

/* ---- Headers ------------------------------------------------------------- */

/* PT_NOTE and the segments. */
static size_t header_count(const struct core *c)
{
	return c->plan.count + 1;
}

/* More than the ELF header can count: a section header counts them. */
static bool counted_apart(const struct core *c)
{
	return header_count(c) >= PN_XNUM;
}

static uint64_t headers_end(const struct core *c)
{
	return sizeof(Elf64_Ehdr) + header_count(c) * sizeof(Elf64_Phdr) +
	       (counted_apart(c) ? sizeof(Elf64_Shdr) : 0);
}

static Elf64_Ehdr elf_header(const struct core *c)
{
	Elf64_Ehdr e = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
			     ELFDATA2LSB, EV_CURRENT, ELFOSABI_NONE },
		.e_type = ET_CORE,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = (Elf64_Half)header_count(c),
	};

	if (counted_apart(c)) {
		e.e_phnum = PN_XNUM;
		e.e_shoff = headers_end(c) - sizeof(Elf64_Shdr);
		e.e_shnum = 1;
		e.e_shentsize = sizeof(Elf64_Shdr);
	}
	return e;
}

static Elf64_Phdr load_header(const struct core *c,
			      const struct msn_core_segment *s)
{
	unsigned perms = c->r.m->mappings[s->mapping].perms;

	return (Elf64_Phdr){
		.p_type = PT_LOAD,
		.p_flags = (perms & MSN_ACCESS_READ ? PF_R : 0u) |
			   (perms & MSN_ACCESS_WRITE ? PF_W : 0u) |
			   (perms & MSN_ACCESS_EXEC ? PF_X : 0u),
		.p_offset = s->offset,
		.p_vaddr = s->addr.start,
		.p_filesz = s->file_bytes,
		.p_memsz = msn_addr_range_length(s->addr),
		.p_align = MSN_PAGE_SIZE,
	};
}

static int write_headers(struct core *c)
{
	const Elf64_Ehdr elf = elf_header(c);
	const Elf64_Phdr notes = {
		.p_type = PT_NOTE,
		.p_offset = c->notes_offset,
		.p_filesz = c->notes_bytes,
		.p_align = 4,
	};
	const Elf64_Shdr count = {
		.sh_size = 1,
		.sh_info = (Elf64_Word)header_count(c),
	};
	struct msn_core_out *o = &c->out;
	int rc;

	rc = msn_core_out_seek(o, 0);
	if (rc == 0)
		rc = msn_core_out_write(o, &elf, sizeof(elf));
	if (rc == 0)
		rc = msn_core_out_write(o, &notes, sizeof(notes));
	for (size_t i = 0; rc == 0 && i < c->plan.count; i++) {
		const Elf64_Phdr p = load_header(c, &c->plan.list[i]);

		rc = msn_core_out_write(o, &p, sizeof(p));
	}
	if (rc == 0 && counted_apart(c))
		rc = msn_core_out_write(o, &count, sizeof(count));
	if (rc == 0)
		rc = msn_core_out_flush(o);
	return rc ? failed(c, rc) : 0;
}

/* ---- The whole ----------------------------------------------------------- */

static int write_notes(struct core *c)
{
	int rc = msn_core_out_seek(&c->out, headers_end(c));

	if (rc)
		return failed(c, rc);
	c->notes_offset = c->out.at;
	rc = msn_core_write_notes(&c->out, &c->r, &c->stats.thread_count);
	if (rc)
		return failed(c, rc);
	c->notes_bytes = c->out.at - c->notes_offset;
	return 0;
}

static int write_core(struct core *c, int fd)
{
	int rc = msn_core_out_init(&c->out, fd);

	c->batch = msn_alloc_aligned(MSN_PAGE_SIZE, BATCH_BYTES);
	if (rc == 0 && !c->batch)
		rc = -ENOMEM;
	if (rc == 0)
		rc = msn_core_plan_make(&c->plan, c->r.m);
	if (rc)
		return failed(c, rc);
	rc = write_notes(c);
	if (rc == 0)
		rc = write_memory(c);
	if (rc == 0)
		rc = write_headers(c);
	c->stats.written_bytes = c->out.written;
	c->stats.segment_count = c->plan.count;
	c->stats.missing_mapping_count = c->plan.missing_count;
	return msn_pass(rc);
}

static int check_fd(const struct core *c, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return failed(c, -errno);
	if (!S_ISREG(st.st_mode))
		return msn_failure_set(c->r.why, -ESPIPE, MSN_FAILURE_INVALID,
				       "a core is written to a regular file "
				       "only");
	return 0;
}

static int write_to_path(struct core *c)
{
	const char *path = c->opts->path;
	msn_auto(msn_freep) char *temp = msn_format("%s.XXXXXX", path);
	msn_auto(msn_closep) int fd = -1;
	int rc;

	if (!temp)
		return failed(c, -ENOMEM);
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return failed(c, -errno);
	rc = write_core(c, fd);
	if (rc == 0 && msn_fault("corefile.rename"))
		rc = failed(c, -EIO);
	if (rc == 0 && rename(temp, path) < 0)
		rc = failed(c, -errno);
	if (rc)
		unlink(temp);
	return msn_pass(rc);
}

int msn_corefile_write(struct msn_store *store, const struct msn_manifest *m,
		       const struct msn_corefile_opts *opts,
		       struct msn_corefile_stats *stats,
		       struct msn_failure *why)
{
	struct core c = { .opts = opts, .r = { .m = m, .why = why } };
	int rc = msn_reader_new(&c.r.reader, store, m, why);

	if (rc)
		return msn_pass(rc);
	if (opts->path) {
		rc = write_to_path(&c);
	} else {
		rc = check_fd(&c, opts->fd);
		if (rc == 0)
			rc = write_core(&c, opts->fd);
	}
	if (rc == 0 && stats)
		*stats = c.stats;
	msn_core_plan_deinit(&c.plan);
	msn_core_out_deinit(&c.out);
	msn_reader_free(c.r.reader);
	free(c.batch);
	return msn_pass(rc);
}
