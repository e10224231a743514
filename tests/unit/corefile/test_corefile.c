/*
 * Core file: headers, bytes, holes and notes of snapshots made by hand.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/fault.h"
#include "base/fd.h"
#include "corefile/corefile.h"
#include "digest/digest.h"
#include "memsnap/v1/capture.pb-c.h"
#include "range/access.h"
#include "range/range.h"
#include "support/check.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define PAGE MSN_PAGE_SIZE
#define BASE UINT64_C(0x10000000)
#define AT(page) (BASE + (page)*PAGE)
#define RW (MSN_ACCESS_READ | MSN_ACCESS_WRITE)

struct fixture {
	char dir[64], out[64], core[96], file[96];
	struct msn_store *store;
	struct msn_manifest *m;
	struct msn_writer *w;
	struct msn_failure why;
	struct msn_corefile_stats stats;
};

static struct fixture f;

static void start(void)
{
	f = (struct fixture){ 0 };
	strcpy(f.dir, "/tmp/memsnap-core-XXXXXX");
	strcpy(f.out, "/tmp/memsnap-core-out-XXXXXX");
	CHECK(mkdtemp(f.dir) && mkdtemp(f.out));
	snprintf(f.core, sizeof(f.core), "%s/core", f.out);
	snprintf(f.file, sizeof(f.file), "%s/file", f.dir);
	CHECK(msn_store_open(
		      &f.store,
		      &(struct msn_store_opts){ .path = f.dir, .create = true },
		      &f.why) == 0);
	CHECK(msn_manifest_new(&f.m) == 0);
	f.m->uid = msn_uid_new();
	f.m->created_ns = 1;
	CHECK(msn_writer_begin(&f.w, f.store, f.m, &f.why) == 0);
}

static void end(void)
{
	char command[160];

	msn_writer_free(f.w);
	msn_manifest_free(f.m);
	msn_store_close(f.store);
	snprintf(command, sizeof(command), "rm -rf %s %s", f.dir, f.out);
	EXPECT(system(command) == 0);
}

static void add_mapping(enum msn_mapping_kind kind, uint64_t first,
			uint64_t end_page, const char *name)
{
	struct msn_manifest_mapping v = { .start = AT(first),
					  .end = AT(end_page),
					  .kind = kind,
					  .perms = RW,
					  .max_perms = MSN_ACCESS_ANY,
					  .name = (char *)(uintptr_t)name };

	CHECK(msn_manifest_add_mapping(f.m, &v) == 0);
}

/* Stores a page of @byte under number @page. */
static void add_page(struct msn_extents *x, uint64_t page, char byte)
{
	_Alignas(64) char bytes[MSN_PAGE_SIZE];
	struct msn_place place;

	memset(bytes, byte, sizeof(bytes));
	CHECK(msn_writer_add(f.w, bytes, msn_digest_page(bytes), &place,
			     &f.why) == 0);
	CHECK(msn_extents_append(x, (struct msn_extent){ .page = page,
							 .count = 1,
							 .pack = place.pack,
							 .frame = place.frame,
							 .at = place.at }) ==
	      0);
}

static void add_private(uint64_t page, char byte)
{
	add_page(&f.m->pages, AT(page) / PAGE, byte);
}

static void add_blob(const char *name, const void *data, size_t len)
{
	struct msn_manifest_blob *b;
	_Alignas(64) char bytes[MSN_PAGE_SIZE];

	if (!f.m->blobs)
		f.m->blobs = calloc(8, sizeof(*f.m->blobs));
	b = &f.m->blobs[f.m->blob_count++];
	b->name = strdup(name);
	b->size_bytes = len;
	for (size_t at = 0; at < len; at += PAGE) {
		size_t n = len - at < PAGE ? len - at : PAGE;
		struct msn_place p;

		memset(bytes, 0, sizeof(bytes));
		memcpy(bytes, (const char *)data + at, n);
		CHECK(msn_writer_add(f.w, bytes, msn_digest_page(bytes), &p,
				     &f.why) == 0);
		CHECK(msn_extents_append(&b->pages, (struct msn_extent){
							    .page = at / PAGE,
							    .count = 1,
							    .pack = p.pack,
							    .frame = p.frame,
							    .at = p.at }) == 0);
	}
}

static int export(void)
{
	const struct msn_corefile_opts opts = { .path = f.core };

	f.why.kind = MSN_FAILURE_NONE;
	return msn_corefile_write(f.store, f.m, &opts, &f.stats, &f.why);
}

static void commit(void)
{
	CHECK(msn_writer_commit(f.w, NULL, NULL, &f.why) == 0);
	f.w = msn_writer_free(f.w);
}

static void commit_and_export(void)
{
	commit();
	CHECK(export() == 0);
}

/* ---- Looking at the core ------------------------------------------------- */

static Elf64_Ehdr header(void)
{
	msn_auto(msn_closep) int fd = open(f.core, O_RDONLY);
	Elf64_Ehdr e;

	CHECK(msn_pread_full(fd, &e, sizeof(e), 0) == sizeof(e));
	return e;
}

/* The @i-th program header; 0 is the notes. */
static Elf64_Phdr segment(size_t i)
{
	msn_auto(msn_closep) int fd = open(f.core, O_RDONLY);
	Elf64_Phdr p;

	CHECK(msn_pread_full(fd, &p, sizeof(p),
			     sizeof(Elf64_Ehdr) + i * sizeof(p)) == sizeof(p));
	return p;
}

static bool loads(size_t i, uint64_t first, uint64_t end_page,
		  uint64_t file_pages)
{
	Elf64_Phdr p = segment(i);

	return p.p_type == PT_LOAD && p.p_vaddr == AT(first) &&
	       p.p_memsz == (end_page - first) * PAGE &&
	       p.p_filesz == file_pages * PAGE;
}

/* First byte of an address in the @i-th segment. */
static char byte_at(size_t i, uint64_t page)
{
	msn_auto(msn_closep) int fd = open(f.core, O_RDONLY);
	Elf64_Phdr p = segment(i);
	char byte = '!';

	CHECK(AT(page) - p.p_vaddr < p.p_filesz);
	CHECK(msn_pread_full(fd, &byte, 1, p.p_offset + AT(page) - p.p_vaddr) ==
	      1);
	return byte;
}

/* Length of the note of that type, and its bytes; 0 if there is none. */
static size_t find_note(uint32_t type, char *out, size_t size)
{
	msn_auto(msn_closep) int fd = open(f.core, O_RDONLY);
	Elf64_Phdr p = segment(0);
	uint64_t at = p.p_offset, stop = p.p_offset + p.p_filesz;

	while (at < stop) {
		Elf64_Nhdr n;
		uint64_t name, desc;

		CHECK(msn_pread_full(fd, &n, sizeof(n), at) == sizeof(n));
		name = (n.n_namesz + 3u) & ~3u;
		desc = (n.n_descsz + 3u) & ~3u;
		if (n.n_type == type) {
			CHECK(n.n_descsz <= size);
			CHECK(msn_pread_full(fd, out, n.n_descsz,
					     at + sizeof(n) + name) ==
			      (ssize_t)n.n_descsz);
			return n.n_descsz;
		}
		at += sizeof(n) + name + desc;
	}
	EXPECT(at == stop);
	return 0;
}

static size_t files_in_out_dir(void)
{
	DIR *d = opendir(f.out);
	size_t n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n - 2; /* . and .. */
}

/* ---- Memory -------------------------------------------------------------- */

static void memory_with_pages_is_there_whole(void)
{
	/*
	 * pages    0 1 2 3 | 4 5 | 8 9
	 * stored     A   B |     |   C
	 */
	start();
	add_mapping(MSN_MAPPING_ANON, 0, 4, "[heap]");
	add_mapping(MSN_MAPPING_ANON, 4, 6, "");
	add_mapping(MSN_MAPPING_KERNEL, 8, 10, "[vdso]");
	add_private(1, 'A');
	add_private(3, 'B');
	add_private(9, 'C');
	commit_and_export();
	EXPECT(header().e_type == ET_CORE && header().e_machine == EM_X86_64);
	EXPECT(header().e_phnum == 4);
	EXPECT(segment(0).p_type == PT_NOTE);
	EXPECT(loads(1, 0, 4, 4) && loads(2, 4, 6, 0) && loads(3, 8, 10, 2));
	EXPECT(segment(1).p_flags == (PF_R | PF_W));
	EXPECT(segment(1).p_offset % PAGE == 0);
	EXPECT(byte_at(1, 0) == 0 && byte_at(1, 1) == 'A');
	EXPECT(byte_at(1, 2) == 0 && byte_at(1, 3) == 'B');
	EXPECT(byte_at(3, 9) == 'C');
	EXPECT(f.stats.segment_count == 3 && f.stats.thread_count == 0);
	end();
}

static void zero_pages_are_holes(void)
{
	struct stat st;

	/* 64 MiB with one page at either end */
	start();
	add_mapping(MSN_MAPPING_ANON, 0, 16384, "");
	add_private(0, 'A');
	add_private(16383, 'Z');
	commit_and_export();
	CHECK(stat(f.core, &st) == 0);
	EXPECT(st.st_size > 64 << 20);
	EXPECT((uint64_t)st.st_size == f.stats.size_bytes);
	EXPECT(st.st_blocks * 512 < 1 << 20);
	EXPECT(f.stats.written_bytes < 64 * 1024);
	EXPECT(byte_at(1, 16383) == 'Z');
	EXPECT((st.st_mode & 0777) == 0600);
	end();
}

static void a_hole_at_the_end_has_its_length(void)
{
	struct stat st;

	start();
	add_mapping(MSN_MAPPING_ANON, 0, 8, "");
	add_private(0, 'A');
	commit_and_export();
	CHECK(stat(f.core, &st) == 0);
	EXPECT((uint64_t)st.st_size == segment(1).p_offset + 8 * PAGE);
	EXPECT(byte_at(1, 7) == 0);
	end();
}

static void a_huge_gap_gets_no_bytes(void)
{
	const uint64_t huge = (UINT64_C(70) << 30) / PAGE;

	start();
	add_mapping(MSN_MAPPING_ANON, 0, huge + 10, "");
	add_private(1, 'A');
	add_private(huge + 3, 'B');
	commit_and_export();
	/* the gap, and behind it what has pages up to the mapping's end */
	EXPECT(header().e_phnum == 4);
	EXPECT(loads(1, 0, 2, 2));
	EXPECT(loads(2, 2, huge + 3, 0));
	EXPECT(loads(3, huge + 3, huge + 10, 7));
	EXPECT(byte_at(3, huge + 3) == 'B');
	end();
}

static void add_object(uint64_t pages)
{
	const struct msn_manifest_object o = { .size_bytes = pages * PAGE };
	uint32_t index;

	CHECK(msn_manifest_add_object(f.m, &o, &index) == 0 && index == 0);
}

/* A mapping of the object. */
static struct msn_manifest_mapping of_object(bool shared)
{
	return (struct msn_manifest_mapping){ .kind = MSN_MAPPING_OBJECT,
					      .perms = RW,
					      .max_perms = RW,
					      .shared = shared,
					      .name = "/memfd:x (deleted)",
					      .inode = 5 };
}

static void copied_pages_lie_over_an_object(void)
{
	struct msn_manifest_mapping v = of_object(false);

	/*
	 * object   1 2 3 4 5        mapped from page 1 to past its end, 6
	 * stored   A B   C
	 * copies   0 x y
	 */
	start();
	add_object(6);
	v.end = AT(6);
	v.start = AT(0);
	v.offset = PAGE;
	CHECK(msn_manifest_add_mapping(f.m, &v) == 0);
	add_page(&f.m->objects[0].pages, 1, 'A');
	add_page(&f.m->objects[0].pages, 2, 'B');
	add_page(&f.m->objects[0].pages, 4, 'C');
	CHECK(msn_extents_append(
		      &f.m->pages,
		      (struct msn_extent){ .page = AT(0) / PAGE,
					   .count = 1,
					   .pack = MSN_EXTENT_ZERO }) == 0);
	add_private(1, 'x');
	add_private(2, 'y');
	commit_and_export();
	EXPECT(header().e_phnum == 2 && loads(1, 0, 6, 6));
	EXPECT(byte_at(1, 0) == 0 && byte_at(1, 1) == 'x');
	EXPECT(byte_at(1, 2) == 'y' && byte_at(1, 3) == 'C');
	EXPECT(byte_at(1, 4) == 0 && byte_at(1, 5) == 0);
	end();
}

static void shared_objects_have_their_bytes(void)
{
	struct msn_manifest_mapping v = of_object(true);
	char note[256];
	uint64_t entry[5];

	/*
	 * object   0 1 2 3     at 0-4 whole, at 8-10 from page 2 on
	 * stored     A   B
	 */
	start();
	add_object(4);
	v.start = AT(0);
	v.end = AT(4);
	CHECK(msn_manifest_add_mapping(f.m, &v) == 0);
	v.start = AT(8);
	v.end = AT(10);
	v.offset = 2 * PAGE;
	CHECK(msn_manifest_add_mapping(f.m, &v) == 0);
	add_page(&f.m->objects[0].pages, 1, 'A');
	add_page(&f.m->objects[0].pages, 3, 'B');
	commit_and_export();
	EXPECT(loads(1, 0, 4, 4) && loads(2, 8, 10, 2));
	EXPECT(byte_at(1, 1) == 'A' && byte_at(1, 3) == 'B');
	EXPECT(byte_at(2, 8) == 0 && byte_at(2, 9) == 'B');
	/* two files in the table, the second from page 2 on */
	CHECK(find_note(0x46494c45, note, sizeof(note)) > 64);
	memcpy(entry, note, sizeof(entry));
	EXPECT(entry[0] == 2 && entry[1] == PAGE);
	EXPECT(entry[2] == AT(0) && entry[3] == AT(4) && entry[4] == 0);
	EXPECT(strcmp(note + 64, "/memfd:x (deleted)") == 0);
	end();
}

/* ---- Files --------------------------------------------------------------- */

/* A file of pages 'a', 'b', ... mapped at 0..pages + 1, one page past it. */
static void add_file(size_t pages, uint64_t offset_pages, bool elf)
{
	struct msn_manifest_mapping v = { .start = AT(0),
					  .end = AT(pages + 1),
					  .kind = MSN_MAPPING_FILE,
					  .perms = MSN_ACCESS_READ,
					  .max_perms = MSN_ACCESS_ANY,
					  .offset = offset_pages * PAGE,
					  .name = f.file };
	msn_auto(msn_closep) int fd = open(f.file, O_RDWR | O_CREAT, 0600);
	struct stat st;

	CHECK(fd >= 0);
	for (size_t i = 0; i < pages; i++) {
		char page[MSN_PAGE_SIZE];

		memset(page, (char)('a' + i), sizeof(page));
		if (i == 0 && elf)
			memcpy(page, ELFMAG, SELFMAG);
		CHECK(msn_pwrite_full(fd, page, PAGE, i * PAGE) == 0);
	}
	CHECK(fstat(fd, &st) == 0);
	v.inode = st.st_ino;
	v.dev_major = major(st.st_dev);
	v.dev_minor = minor(st.st_dev);
	v.file_size = (uint64_t)st.st_size;
	v.file_mtime_ns = st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	CHECK(msn_manifest_add_mapping(f.m, &v) == 0);
}

static void unmodified_pages_come_from_the_same_file(void)
{
	/*
	 * pages   0 1 2 3 4     the file has 4, 5 are mapped
	 * stored    X
	 */
	start();
	add_file(4, 0, false);
	add_private(1, 'X');
	commit_and_export();
	EXPECT(header().e_phnum == 2 && loads(1, 0, 5, 4));
	EXPECT(byte_at(1, 0) == 'a' && byte_at(1, 1) == 'X');
	EXPECT(byte_at(1, 2) == 'c' && byte_at(1, 3) == 'd');
	EXPECT(f.stats.missing_mapping_count == 0);
	end();
}

static void a_zero_page_hides_the_files(void)
{
	start();
	add_file(4, 0, false);
	CHECK(msn_extents_append(
		      &f.m->pages,
		      (struct msn_extent){ .page = AT(2) / PAGE,
					   .count = 1,
					   .pack = MSN_EXTENT_ZERO }) == 0);
	commit_and_export();
	EXPECT(byte_at(1, 1) == 'b' && byte_at(1, 2) == 0 &&
	       byte_at(1, 3) == 'd');
	end();
}

static void a_changed_file_gives_no_bytes(void)
{
	/*
	 * pages   0 1 2 3 4
	 * stored    X Y
	 */
	start();
	add_file(4, 0, false);
	add_private(1, 'X');
	add_private(2, 'Y');
	commit();
	CHECK(truncate(f.file, 3 * (off_t)PAGE) == 0);
	CHECK(export() == 0);
	EXPECT(header().e_phnum == 4);
	EXPECT(loads(1, 0, 1, 0) && loads(2, 1, 3, 2) && loads(3, 3, 5, 0));
	EXPECT(byte_at(2, 1) == 'X' && byte_at(2, 2) == 'Y');
	EXPECT(f.stats.missing_mapping_count == 1);
	end();
}

static void set_mtime(int64_t ns)
{
	const struct timespec t[2] = {
		{ .tv_nsec = UTIME_OMIT },
		{ ns / 1000000000, ns % 1000000000 },
	};

	CHECK(utimensat(AT_FDCWD, f.file, t, 0) == 0);
}

/* Size, time of change and inode: each alone makes it another file. */
static void one_difference_makes_another_file(void)
{
	char command[512];
	int64_t mtime;

	start();
	add_file(4, 0, false);
	add_private(1, 'X');
	commit();
	mtime = f.m->mappings[0].file_mtime_ns;
	CHECK(export() == 0 && f.stats.missing_mapping_count == 0);

	set_mtime(mtime + 1);
	CHECK(export() == 0 && f.stats.missing_mapping_count == 1);
	set_mtime(mtime);
	CHECK(export() == 0 && f.stats.missing_mapping_count == 0);

	CHECK(truncate(f.file, 3 * (off_t)PAGE) == 0);
	set_mtime(mtime);
	CHECK(export() == 0 && f.stats.missing_mapping_count == 1);
	CHECK(truncate(f.file, 4 * (off_t)PAGE) == 0);

	snprintf(command, sizeof(command), "cp %s %s.copy && mv %s.copy %s",
		 f.file, f.file, f.file, f.file);
	CHECK(system(command) == 0);
	set_mtime(mtime);
	CHECK(export() == 0 && f.stats.missing_mapping_count == 1);
	end();
}

static void only_the_first_page_of_an_untouched_elf_file_is_there(void)
{
	start();
	add_file(4, 0, true);
	commit_and_export();
	EXPECT(header().e_phnum == 2 && loads(1, 0, 5, 1));
	EXPECT(byte_at(1, 0) == 0x7f);
	end();
}

static void an_untouched_file_of_another_kind_has_no_bytes(void)
{
	start();
	add_file(4, 0, false);
	commit_and_export();
	EXPECT(loads(1, 0, 5, 0));
	end();
}

/* ---- Threads ------------------------------------------------------------- */

/* A blob of two threads whose registers are all 1s and all 2s. */
static void add_threads(size_t gregs_len)
{
	static uint8_t gregs[2][sizeof(elf_gregset_t)], fpregs[512];
	Memsnap__V1__CapturedRegset regset[3];
	Memsnap__V1__CapturedRegset *first[2] = { &regset[0], &regset[2] };
	Memsnap__V1__CapturedRegset *second[1] = { &regset[1] };
	Memsnap__V1__CapturedThread thread[2];
	Memsnap__V1__CapturedThread *list[2] = { &thread[0], &thread[1] };
	Memsnap__V1__CapturedThreads all = MEMSNAP__V1__CAPTURED_THREADS__INIT;
	uint8_t bytes[4096];

	for (int i = 0; i < 3; i++)
		memsnap__v1__captured_regset__init(&regset[i]);
	for (int i = 0; i < 2; i++) {
		memset(gregs[i], i + 1, sizeof(gregs[i]));
		regset[i].note_type = NT_PRSTATUS;
		regset[i].data.data = gregs[i];
		regset[i].data.len = gregs_len;
		memsnap__v1__captured_thread__init(&thread[i]);
		thread[i].tid = 100 + i;
	}
	regset[2].note_type = NT_FPREGSET;
	regset[2].data.data = fpregs;
	regset[2].data.len = sizeof(fpregs);
	thread[0].regsets = first;
	thread[0].n_regsets = 2;
	thread[0].signal = 10;
	thread[0].blocked = 0x55;
	thread[1].regsets = second;
	thread[1].n_regsets = 1;
	all.threads = list;
	all.n_threads = 2;
	CHECK(memsnap__v1__captured_threads__get_packed_size(&all) <=
	      sizeof(bytes));
	add_blob("elf/threads", bytes,
		 memsnap__v1__captured_threads__pack(&all, bytes));
}

static void threads_become_notes(void)
{
	struct elf_prstatus status;
	char note[1024];

	start();
	add_mapping(MSN_MAPPING_ANON, 0, 4, "");
	add_threads(sizeof(elf_gregset_t));
	add_blob("elf/auxv", "0123456789abcdef", 16);
	commit_and_export();
	EXPECT(f.stats.thread_count == 2);
	CHECK(find_note(NT_PRSTATUS, note, sizeof(note)) == sizeof(status));
	memcpy(&status, note, sizeof(status));
	EXPECT(status.pr_pid == 100 && status.pr_cursig == 10);
	EXPECT(status.pr_sighold == 0x55 && status.pr_fpvalid == 1);
	EXPECT(status.pr_reg[0] == 0x0101010101010101);
	EXPECT(find_note(NT_FPREGSET, note, sizeof(note)) == 512);
	EXPECT(find_note(NT_AUXV, note, sizeof(note)) == 16);
	EXPECT(memcmp(note, "0123456789abcdef", 16) == 0);
	EXPECT(find_note(NT_PRPSINFO, note, sizeof(note)) ==
	       sizeof(struct elf_prpsinfo));
	end();
}

static void registers_of_another_size_are_damage(void)
{
	start();
	add_threads(sizeof(elf_gregset_t) - 1);
	commit();
	EXPECT(export() == -EBADMSG);
	EXPECT(f.why.kind == MSN_FAILURE_DATA_LOSS);
	EXPECT(files_in_out_dir() == 0);
	end();
}

static void a_blob_that_is_none_is_damage(void)
{
	start();
	add_blob("elf/threads", "\xff\xff\xff\xff", 4);
	commit();
	EXPECT(export() == -EBADMSG);
	EXPECT(strstr(f.why.text, "elf/threads"));
	EXPECT(files_in_out_dir() == 0);
	end();
}

/* ---- Many segments ------------------------------------------------------- */

static void more_segments_than_the_header_counts(void)
{
	msn_auto(msn_closep) int fd = -1;
	Elf64_Shdr s;

	start();
	for (uint64_t i = 0; i < 70000; i++)
		add_mapping(MSN_MAPPING_ANON, 2 * i, 2 * i + 1, "");
	add_private(2 * 69999, 'Z');
	commit_and_export();
	EXPECT(header().e_phnum == PN_XNUM && header().e_shnum == 1);
	fd = open(f.core, O_RDONLY);
	CHECK(msn_pread_full(fd, &s, sizeof(s), header().e_shoff) == sizeof(s));
	EXPECT(s.sh_info == 70001);
	EXPECT(loads(70000, 2 * 69999, 2 * 69999 + 1, 1));
	EXPECT(byte_at(70000, 2 * 69999) == 'Z');
	end();
}

/* ---- Where to ------------------------------------------------------------ */

static void an_open_file_is_written_too(void)
{
	struct msn_corefile_opts opts = { 0 };
	msn_auto(msn_closep) int fd = -1;

	start();
	add_mapping(MSN_MAPPING_ANON, 0, 2, "");
	add_private(1, 'A');
	commit();
	fd = opts.fd = open(f.core, O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0);
	CHECK(msn_corefile_write(f.store, f.m, &opts, NULL, &f.why) == 0);
	EXPECT(loads(1, 0, 2, 2) && byte_at(1, 1) == 'A');
	end();
}

static void what_is_no_file_is_refused(void)
{
	struct msn_corefile_opts opts = { 0 };
	int pipes[2];

	start();
	add_mapping(MSN_MAPPING_ANON, 0, 2, "");
	commit();
	CHECK(pipe(pipes) == 0);
	opts.fd = pipes[1];
	EXPECT(msn_corefile_write(f.store, f.m, &opts, NULL, &f.why) ==
	       -ESPIPE);
	EXPECT(f.why.kind == MSN_FAILURE_INVALID);
	opts.path = "/no/such/folder/core";
	f.why.kind = MSN_FAILURE_NONE;
	EXPECT(msn_corefile_write(f.store, f.m, &opts, NULL, &f.why) ==
	       -ENOENT);
	EXPECT(strstr(f.why.text, "/no/such/folder/core"));
	close(pipes[0]);
	close(pipes[1]);
	end();
}

static int cancel(void *ctx, uint64_t done, uint64_t total)
{
	(void)ctx;
	EXPECT(done <= total);
	return done >= 2 * PAGE;
}

static void a_cancelled_export_leaves_what_was_there(void)
{
	struct msn_corefile_opts opts = { .path = f.core, .progress = cancel };
	char old[4] = "";
	int fd;

	start();
	add_mapping(MSN_MAPPING_ANON, 0, 4, "");
	add_private(1, 'A');
	commit();
	fd = open(f.core, O_RDWR | O_CREAT, 0600);
	EXPECT(write(fd, "old", 3) == 3);
	close(fd);
	EXPECT(msn_corefile_write(f.store, f.m, &opts, NULL, &f.why) ==
	       -ECANCELED);
	EXPECT(f.why.kind == MSN_FAILURE_CANCELLED);
	EXPECT(files_in_out_dir() == 1);
	fd = open(f.core, O_RDONLY);
	EXPECT(read(fd, old, 3) == 3 && strcmp(old, "old") == 0);
	close(fd);
	end();
}

static void *same_fixture(void)
{
	return &f;
}

static int export_body(void *state)
{
	(void)state;
	return export();
}

static void export_verify(void *state, int rc, const char *name)
{
	(void)state;
	if (rc == 0) {
		EXPECT(files_in_out_dir() == 1);
		unlink(f.core);
	}
	EXPECT(rc == 0 || (name && f.why.kind != MSN_FAILURE_NONE));
	EXPECT(files_in_out_dir() == 0);
}

static void every_failure_leaves_nothing(void)
{
	start();
	add_file(4, 0, true);
	add_private(1, 'X');
	add_threads(sizeof(elf_gregset_t));
	commit();
	EXPECT(check_every_fault(same_fixture, export_body, export_verify) >=
	       5);
	end();
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(memory_with_pages_is_there_whole),
		CHECK_TEST(zero_pages_are_holes),
		CHECK_TEST(a_hole_at_the_end_has_its_length),
		CHECK_TEST(a_huge_gap_gets_no_bytes),
		CHECK_TEST(shared_objects_have_their_bytes),
		CHECK_TEST(copied_pages_lie_over_an_object),
		CHECK_TEST(unmodified_pages_come_from_the_same_file),
		CHECK_TEST(a_zero_page_hides_the_files),
		CHECK_TEST(a_changed_file_gives_no_bytes),
		CHECK_TEST(one_difference_makes_another_file),
		CHECK_TEST(
			only_the_first_page_of_an_untouched_elf_file_is_there),
		CHECK_TEST(an_untouched_file_of_another_kind_has_no_bytes),
		CHECK_TEST(threads_become_notes),
		CHECK_TEST(registers_of_another_size_are_damage),
		CHECK_TEST(a_blob_that_is_none_is_damage),
		CHECK_TEST(more_segments_than_the_header_counts),
		CHECK_TEST(an_open_file_is_written_too),
		CHECK_TEST(what_is_no_file_is_refused),
		CHECK_TEST(a_cancelled_export_leaves_what_was_there),
		CHECK_TEST(every_failure_leaves_nothing),
		{}
	};

	return check_main(argc, argv, "corefile", tests);
}
