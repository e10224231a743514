/*
 * One of each kind of file and mappable, for the contract suites.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "contract/makers.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "capture/procobj.h"
#include "hostfile/hostfile.h"
#include "image/image.h"
#include "memfile/memfile.h"
#include "procfile/procfile.h"
#include "shmem/shmem.h"
#include "support/check.h"
#include "sysv/sysv.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <unistd.h>

#define LEN (MADE_PAGES * MSN_PAGE_SIZE)

static void fill(char *at)
{
	for (int i = 0; i < MADE_PAGES; i++)
		memset(at + (size_t)i * MSN_PAGE_SIZE, 'A' + i, MSN_PAGE_SIZE);
}

static char pattern[LEN];

/* ---- memory file --------------------------------------------------------- */

static void memfile_free(struct made_file *m)
{
	msn_file_dec_ref(m->file, m->pages);
	msn_memfile_free(m->owner);
}

static void make_memfile(struct made_file *out)
{
	struct msn_memfile *mf;
	size_t done;

	fill(pattern);
	CHECK(msn_memfile_new(&mf, &(struct msn_memfile_opts){ 0 }) == 0);
	CHECK(msn_memfile_allocate(mf,
				   &(struct msn_memfile_alloc){ .length = LEN },
				   &out->pages) == 0);
	out->file = msn_memfile_file(mf);
	CHECK(msn_file_write(out->file, out->pages.start, pattern, LEN,
			     &done) == 0);
	out->owner = mf;
	out->free = memfile_free;
}

/* ---- host file ----------------------------------------------------------- */

static int temp_file(char *path)
{
	int fd;

	strcpy(path, "/tmp/memsnap-test-XXXXXX");
	fd = mkostemp(path, O_CLOEXEC);
	CHECK(fd >= 0);
	fill(pattern);
	CHECK(msn_pwrite_full(fd, pattern, LEN, 0) == 0);
	return fd;
}

static struct msn_hostfile *make_host(bool buffered, int flags)
{
	struct msn_hostfile *hf;
	char path[64];
	int fd = temp_file(path);

	if (flags != O_RDWR) { /* another descriptor of it */
		msn_close(fd);
		fd = open(path, flags | O_CLOEXEC);
	}

	CHECK(msn_hostfile_new(&hf, &(struct msn_hostfile_opts){
					    .fd = fd,
					    .path = path,
					    .buffered = buffered }) == 0);
	return hf;
}

static void unlink_host(struct msn_hostfile *hf)
{
	unlink(msn_identity_mapped_name(msn_hostfile_identity(hf)));
	msn_identity_dec_ref(msn_hostfile_identity(hf));
}

static void hostfile_free(struct made_file *m)
{
	msn_file_dec_ref(m->file, m->pages);
	unlink_host(m->owner);
}

static void make_host_file(struct made_file *out, bool buffered, int flags)
{
	struct msn_hostfile *hf = make_host(buffered, flags);
	struct msn_obj_range all = { 0, LEN };
	struct msn_translation t;
	int why;

	CHECK(msn_mappable_translate(msn_hostfile_mappable(hf), all, all,
				     MSN_ACCESS_READ, &t, 1, &why) == 1);
	out->file = t.file;
	out->pages = msn_translation_file_range(&t);
	msn_file_inc_ref(out->file, out->pages, 0);
	out->owner = hf;
	out->free = hostfile_free;
}

static void make_hostfile(struct made_file *out)
{
	make_host_file(out, false, O_RDWR);
}

static void make_buffered_hostfile(struct made_file *out)
{
	make_host_file(out, true, O_RDWR);
}

static void make_read_only_hostfile(struct made_file *out)
{
	make_host_file(out, false, O_RDONLY);
}

/* Writes to its descriptor would all go to the end. */
static void make_append_hostfile(struct made_file *out)
{
	make_host_file(out, true, O_RDWR | O_APPEND);
}

/* ---- image --------------------------------------------------------------- */

static int pattern_fill(struct msn_page_source *src, struct msn_file_range r,
			void *dst)
{
	(void)src;
	memcpy(dst, pattern + r.start, msn_file_range_length(r));
	return 0;
}

static int pattern_next(struct msn_page_source *src, struct msn_file_range r,
			struct msn_file_range *out)
{
	(void)src;
	*out = r;
	return 0;
}

static void pattern_free(struct msn_page_source *src)
{
	free(src);
}

static const struct msn_page_source_ops pattern_ops = {
	.name = "pattern",
	.fill = pattern_fill,
	.next_data = pattern_next,
	.free = pattern_free,
};

static void image_free(struct made_file *m)
{
	msn_image_unref(m->owner);
}

static void make_image(struct made_file *out)
{
	struct msn_page_source *src = msn_alloc(sizeof(*src));
	struct msn_image *img;

	fill(pattern);
	src->ops = &pattern_ops;
	CHECK(msn_image_new(&img, &(struct msn_image_opts){ .size_bytes = LEN,
							    .source = src }) ==
	      0);
	out->file = msn_image_file(img);
	out->pages = (struct msn_file_range){ 0, LEN };
	out->owner = img;
	out->free = image_free;
}

/* ---- procfile: this very process ----------------------------------------- */

static void procfile_free(struct made_file *m)
{
	munmap((void *)(uintptr_t)m->pages.start, LEN);
	msn_procfile_free(m->owner);
}

static void make_procfile(struct made_file *out)
{
	static int mem_fd = -1;
	struct msn_procfile *pf;
	char *at = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(at != MAP_FAILED);
	fill(at);
	if (mem_fd < 0)
		mem_fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	CHECK(msn_procfile_new(
		      &pf, &(struct msn_procfile_opts){
				   .pid = getpid(), .mem_fd = mem_fd }) == 0);
	out->file = msn_procfile_file(pf);
	out->pages.start = (uintptr_t)at;
	out->pages.end = out->pages.start + LEN;
	out->owner = pf;
	out->free = procfile_free;
}

const struct file_maker file_makers[] = {
	{ "memory file", make_memfile, true, true, true, false },
	{ "host file", make_hostfile, true, true, true, true },
	{ "buffered host file", make_buffered_hostfile, true, false, true,
	  true },
	{ "read-only host file", make_read_only_hostfile, false, true, true,
	  true },
	{ "buffered host file, appending", make_append_hostfile, true, false,
	  true, true },
	{ "image", make_image, false, true, true, false },
	{ "procfile", make_procfile, false, false, false, false },
};
const size_t file_maker_count = MSN_ARRAY_LEN(file_makers);

/* ---- mappables ----------------------------------------------------------- */

static void shmem_free(struct made_mappable *m)
{
	msn_identity_dec_ref(m->id);
	msn_memfile_free(m->owner);
}

static void make_shmem(struct made_mappable *out)
{
	struct msn_memfile *mf;
	struct msn_shmem *s;

	CHECK(msn_memfile_new(&mf, &(struct msn_memfile_opts){ 0 }) == 0);
	CHECK(msn_shmem_new(&s, &(struct msn_shmem_opts){ .memfile = mf,
							  .size = LEN }) == 0);
	out->obj = msn_shmem_mappable(s);
	out->id = msn_shmem_identity(s);
	out->owner = mf;
	out->free = shmem_free;
}

/* A segment, attached but not mapped; the first one has the inode 0. */
struct segment {
	struct msn_sysv_host host;
	struct msn_memfile *mf;
	struct msn_sysv *ns;
};

static int64_t no_time(struct msn_sysv_host *host)
{
	(void)host;
	return 0;
}

static int32_t no_pid(struct msn_sysv_host *host)
{
	(void)host;
	return 0;
}

static const struct msn_sysv_host_ops host_ops = { no_time, no_pid };

static void sysv_free(struct made_mappable *m)
{
	struct segment *s = m->owner;

	msn_identity_dec_ref(m->id);
	msn_sysv_free(s->ns);
	msn_memfile_free(s->mf);
	free(s);
}

static void make_sysv(struct made_mappable *out)
{
	const struct msn_sysv_cred cred = { 0 };
	struct segment *s = msn_alloc(sizeof(*s));
	struct msn_sysv_attach at;

	CHECK(s);
	s->host.ops = &host_ops;
	CHECK(msn_memfile_new(&s->mf, &(struct msn_memfile_opts){ 0 }) == 0);
	CHECK(msn_sysv_new(&s->ns,
			   &(struct msn_sysv_opts){ .memfile = s->mf,
						    .host = &s->host }) == 0);
	for (int i = 0; i < 2; i++)
		CHECK(msn_sysv_shmget(s->ns, &cred, IPC_PRIVATE, LEN, 0600) ==
		      i);
	CHECK(msn_sysv_shmat(s->ns, &cred, 1, 0, 0, &at) == 0);
	out->obj = at.opts.mappable;
	out->id = at.opts.mapping_identity;
	msn_identity_inc_ref(out->id);
	CHECK(msn_sysv_attached(&at, 0) == 0);
	out->owner = s;
	out->free = sysv_free;
}

static void host_mappable_free(struct made_mappable *m)
{
	unlink_host(m->owner);
}

static void make_host_obj(struct made_mappable *out, bool buffered)
{
	struct msn_hostfile *hf = make_host(buffered, O_RDWR);

	out->obj = msn_hostfile_mappable(hf);
	out->id = msn_hostfile_identity(hf);
	out->owner = hf;
	out->free = host_mappable_free;
}

static void make_host_mappable(struct made_mappable *out)
{
	make_host_obj(out, false);
}

static void make_buffered_mappable(struct made_mappable *out)
{
	make_host_obj(out, true);
}

/* An object of another process: here, of this one. */
static void process_object_free(struct made_mappable *m)
{
	struct made_file *process = m->owner;

	msn_identity_dec_ref(m->id);
	process->free(process);
	free(process);
}

static void make_process_object(struct made_mappable *out)
{
	struct made_file *process = msn_alloc(sizeof(*process));
	struct msn_procobj *o;

	CHECK(process);
	make_procfile(process);
	CHECK(msn_procobj_new(&o, &(struct msn_procobj_opts){
					  .as = MSN_SAVED_AS_CONTENT,
					  .name = "/memfd:test (deleted)",
					  .inode = 7,
					  .memory = process->file,
					  .fd = -1 }) == 0);
	CHECK(msn_procobj_add_place(o, (struct msn_obj_range){ 0, LEN },
				    process->pages.start) == 0);
	msn_procobj_set_size(o, LEN);
	out->obj = msn_procobj_mappable(o);
	out->id = msn_procobj_identity(o, 0);
	out->owner = process;
	out->free = process_object_free;
}

const struct mappable_maker mappable_makers[] = {
	{ "shared memory", make_shmem, MSN_SAVED_AS_CONTENT, true },
	{ "System V segment", make_sysv, MSN_SAVED_AS_CONTENT, true },
	{ "host file", make_host_mappable, MSN_SAVED_AS_PATH, true },
	{ "buffered host file", make_buffered_mappable, MSN_SAVED_AS_PATH,
	  true },
	{ "process object", make_process_object, MSN_SAVED_AS_CONTENT, false },
};
const size_t mappable_maker_count = MSN_ARRAY_LEN(mappable_makers);
