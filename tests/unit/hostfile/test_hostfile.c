/*
 * Host files: references and who pays, windows, residency, sizes and holes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit/hostfile/fixture.h"

#include "base/fault.h"
#include "base/limits.h"

#include <sys/socket.h>
#include <sys/wait.h>

/* ---- References ---------------------------------------------------------- */

struct payers {
	struct msn_account_table *accounts;
	struct msn_hostfile *hf;
	struct msn_file *file;
};

static struct payers payers_make(void)
{
	struct payers p;
	int fd = new_file(IN_MEMORY);

	fill(fd, 64 * PAGE);
	CHECK(msn_account_table_new(&p.accounts) == 0);
	CHECK(msn_hostfile_new(&p.hf, &(struct msn_hostfile_opts){
					      .fd = fd,
					      .path = "x",
					      .accounts = p.accounts }) == 0);
	p.file = file_of(p.hf);
	return p;
}

static void payers_free(struct payers *p)
{
	host_free(p->hf);
	msn_account_table_free(p->accounts);
}

static uint64_t paid(const struct payers *p, msn_account_id id)
{
	return msn_account_get(p->accounts, id).bytes[MSN_ACCOUNT_MAPPED] /
	       PAGE;
}

static void the_first_reference_pays_until_the_last_is_gone(void)
{
	/*
	 * pages   0 1 2 3 4 5
	 * of 7    * * * *
	 * of 8        * * * *
	 */
	struct payers p = payers_make();
	struct msn_file_range run;

	msn_file_inc_ref(p.file, FILE_PAGES(0, 4), 7);
	msn_file_inc_ref(p.file, FILE_PAGES(2, 6), 8);
	EXPECT(paid(&p, 7) == 4 && paid(&p, 8) == 2);
	EXPECT(msn_file_sharers(p.file, FILE_PAGES(0, 8), &run) == 1);
	EXPECT(run.end == 2 * PAGE);
	EXPECT(msn_file_sharers(p.file, FILE_PAGES(2, 8), &run) == 2);
	EXPECT(run.end == 4 * PAGE);
	EXPECT(msn_file_sharers(p.file, FILE_PAGES(4, 8), &run) == 1);
	EXPECT(run.end == 6 * PAGE);
	EXPECT(msn_file_sharers(p.file, FILE_PAGES(6, 8), &run) == 0);
	EXPECT(run.end == 8 * PAGE);
	msn_file_dec_ref(p.file, FILE_PAGES(0, 4));
	EXPECT(paid(&p, 7) == 2 && paid(&p, 8) == 2);
	EXPECT(msn_hostfile_stats(p.hf).mapped_bytes == 4 * PAGE);
	msn_file_dec_ref(p.file, FILE_PAGES(2, 6));
	EXPECT(paid(&p, 7) == 0 && paid(&p, 8) == 0);
	payers_free(&p);
}

static void references_agree_with_a_plain_array(void)
{
	enum { COUNT = 64, STEPS = 5000 };
	unsigned refs[COUNT] = { 0 }, payer[COUNT] = { 0 };
	struct payers p = payers_make();
	uint64_t rand = check_seed();

	for (int step = 0; step < STEPS; step++) {
		uint64_t a = msn_rand_next(&rand) % COUNT;
		uint64_t b = a + 1 + msn_rand_next(&rand) % (COUNT - a);
		unsigned who = (unsigned)(msn_rand_next(&rand) % 3), sum = 0;
		bool add = msn_rand_next(&rand) % 2;
		struct msn_file_range run;

		for (uint64_t i = a; !add && i < b; i++)
			if (refs[i] == 0)
				b = i; /* drop what is there */
		if (a >= b)
			continue;
		if (add)
			msn_file_inc_ref(p.file, FILE_PAGES(a, b), who);
		else
			msn_file_dec_ref(p.file, FILE_PAGES(a, b));
		for (uint64_t i = a; i < b; i++) {
			if (add && refs[i] == 0)
				payer[i] = who;
			refs[i] += add ? 1u : -1u;
		}
		CHECK(msn_hostfile_check(p.hf) == NULL);
		EXPECT(msn_file_sharers(p.file, FILE_PAGES(a, COUNT), &run) ==
		       refs[a]);
		for (uint64_t i = a; i < run.end / PAGE; i++)
			EXPECT(refs[i] == refs[a]);
		EXPECT(run.end == COUNT * PAGE ||
		       refs[run.end / PAGE] != refs[a]);
		for (uint64_t i = 0; i < COUNT; i++)
			sum += refs[i] > 0 && payer[i] == who;
		EXPECT(paid(&p, who) == sum);
	}
	payers_free(&p); /* what is left is uncharged */
}

/* ---- Windows ------------------------------------------------------------- */

/* A sparse file of @gib windows, with byte i at the start of window i. */
static int wide_file(unsigned gib)
{
	int fd = new_file(IN_MEMORY);

	CHECK(ftruncate(fd, (off_t)(gib * MSN_WINDOW_BYTES)) == 0);
	for (unsigned i = 0; i < gib; i++) {
		char byte = (char)i;

		CHECK(msn_pwrite_full(fd, &byte, 1, i * MSN_WINDOW_BYTES) == 0);
	}
	return fd;
}

static struct msn_file_range first_page(unsigned window)
{
	return (struct msn_file_range){ window * MSN_WINDOW_BYTES,
					window * MSN_WINDOW_BYTES + PAGE };
}

static bool is_mapped(struct msn_file *file, unsigned window)
{
	struct msn_spans spans;
	int rc = msn_file_map_internal(file, first_page(window),
				       MSN_ACCESS_READ, &spans);

	CHECK(rc == 0 || rc == MSN_FILE_E_BUFFERED);
	return rc == 0;
}

static void windows_without_references_make_room(void)
{
	struct msn_hostfile *hf;
	struct msn_file *file;

	CHECK(msn_hostfile_new(&hf, &(struct msn_hostfile_opts){
					    .fd = wide_file(8),
					    .path = "x",
					    .windows_max = 2 }) == 0);
	file = file_of(hf);
	for (unsigned i = 0; i < 8; i++) {
		msn_file_inc_ref(file, first_page(i), 0);
		EXPECT(is_mapped(file, i));
		EXPECT(byte_at(file, i * MSN_WINDOW_BYTES) == (int)i);
		msn_file_dec_ref(file, first_page(i));
		EXPECT(msn_hostfile_stats(hf).windows <= 2);
		EXPECT(msn_hostfile_check(hf) == NULL);
	}
	EXPECT(msn_hostfile_stats(hf).windows == 2);
	host_free(hf);
}

static void windows_with_references_stay_and_others_go_buffered(void)
{
	struct msn_spans before, after;
	struct msn_hostfile *hf;
	struct msn_file *file;

	CHECK(msn_hostfile_new(&hf, &(struct msn_hostfile_opts){
					    .fd = wide_file(4),
					    .path = "x",
					    .windows_max = 2 }) == 0);
	file = file_of(hf);
	for (unsigned i = 0; i < 4; i++)
		msn_file_inc_ref(file, first_page(i), 0);
	CHECK(msn_file_map_internal(file, first_page(0), RW, &before) == 0);
	EXPECT(is_mapped(file, 1));
	EXPECT(!is_mapped(file, 2) && !is_mapped(file, 3));
	for (unsigned i = 0; i < 4; i++)
		EXPECT(byte_at(file, i * MSN_WINDOW_BYTES) == (int)i);
	CHECK(msn_file_map_internal(file, first_page(0), RW, &after) == 0);
	EXPECT(before.span[0].data == after.span[0].data);
	msn_file_dec_ref(file, first_page(1));
	EXPECT(is_mapped(file, 2)); /* the place of window 1 */
	for (unsigned i = 0; i < 4; i++)
		if (i != 1)
			msn_file_dec_ref(file, first_page(i));
	host_free(hf);
}

static void one_file_gives_its_unused_windows_to_another(void)
{
	struct msn_hostfile *a = host_of(wide_file(3), false);
	struct msn_hostfile *b = host_of(wide_file(3), false);
	struct msn_file *fa = file_of(a), *fb = file_of(b);

	msn_hostfile_set_windows_total(3);
	for (unsigned i = 0; i < 3; i++) {
		msn_file_inc_ref(fa, first_page(i), 0);
		EXPECT(is_mapped(fa, i));
		msn_file_inc_ref(fb, first_page(i), 0);
	}
	EXPECT(!is_mapped(fb, 0));
	msn_file_dec_ref(fa, first_page(1));
	EXPECT(is_mapped(fb, 0));
	EXPECT(!is_mapped(fb, 1));
	EXPECT(msn_hostfile_stats(a).windows == 2);
	EXPECT(byte_at(fa, 2 * MSN_WINDOW_BYTES) == 2);
	EXPECT(byte_at(fb, 2 * MSN_WINDOW_BYTES) == 2);
	msn_hostfile_set_windows_total(0);
	EXPECT(is_mapped(fb, 1));
	host_free(a);
	host_free(b);
}

static void a_range_over_many_windows_is_read_whole(void)
{
	FOR_BOTH_WAYS(buffered)
	{
		struct msn_hostfile *hf = host_of(wide_file(2), buffered);
		char buf[64];
		size_t done;

		CHECK(msn_file_read(file_of(hf), MSN_WINDOW_BYTES - 32, buf, 64,
				    &done) == 0);
		EXPECT(done == 64 && buf[31] == 0 && buf[32] == 1);
		host_free(hf);
	}
}

/* ---- Residency ----------------------------------------------------------- */

/* What mincore says of the first nine pages of @fd. */
static void resident_to_mmap(int fd, uint8_t *vec)
{
	void *at = mmap(NULL, 9 * PAGE, PROT_READ, MAP_SHARED, fd, 0);

	CHECK(at != MAP_FAILED);
	CHECK(mincore(at, 9 * PAGE, vec) == 0);
	munmap(at, 9 * PAGE);
	for (int i = 0; i < 9; i++)
		vec[i] &= 1;
}

static void what_is_in_the_page_cache_is_resident(void)
{
	/* pages   0 1 2 3 4 5 6 7, written 0 to 3 and 6, a hole elsewhere */
	static const uint8_t sparse[] = { 1, 1, 1, 1, 0, 0, 1, 0, 0 };

	FOR_EACH_PLACE(p)
	{
		FOR_BOTH_WAYS(buffered)
		{
			int fd = new_file(p);
			uint8_t vec[9], told[9];
			struct msn_hostfile *hf;

			CHECK(ftruncate(fd, 8 * (off_t)PAGE) == 0);
			fill(fd, 4 * PAGE);
			CHECK(msn_pwrite_full(fd, "x", 1, 6 * PAGE) == 0);
			hf = host_of(fd, buffered);
			/* Twice: asking brings nothing in. */
			for (int i = 0; i < 2; i++) {
				memset(vec, 0xff, sizeof(vec));
				CHECK(msn_file_resident(file_of(hf),
							FILE_PAGES(0, 9),
							vec) == 0);
				resident_to_mmap(fd, told);
				EXPECT(memcmp(vec, told, 9) == 0);
				/* A disk may keep larger pieces. */
				EXPECT(p == ON_DISK ||
				       memcmp(vec, sparse, 9) == 0);
			}
			host_free(hf);
		}
	}
}

static void pages_that_were_dropped_are_not_resident(void)
{
	int fd = new_file(ON_DISK);
	struct msn_hostfile *hf;
	uint8_t vec[8];

	fill(fd, 8 * PAGE);
	hf = host_of(fd, false);
	CHECK(fdatasync(fd) == 0);
	CHECK(posix_fadvise(fd, 0, 4 * (off_t)PAGE, POSIX_FADV_DONTNEED) == 0);
	CHECK(msn_file_resident(file_of(hf), FILE_PAGES(0, 8), vec) == 0);
	for (int i = 0; i < 8; i++)
		EXPECT(vec[i] == (i >= 4));
	/* Through a window it is the same. */
	EXPECT(byte_at(file_of(hf), 6 * PAGE) == 'G');
	CHECK(msn_file_resident(file_of(hf), FILE_PAGES(0, 8), vec) == 0);
	for (int i = 0; i < 8; i++)
		EXPECT(vec[i] == (i >= 4));
	host_free(hf);
}

/* ---- Sizes and holes ----------------------------------------------------- */

static void truncation_invalidates_from_the_rounded_end(void)
{
	/*
	 * pages    0 1 2 3 4 5 6 7
	 * new end      ^ inside 2
	 * gone           =========
	 */
	FOR_EACH_PLACE(p)
	{
		int fd = new_file(p);
		struct recorder r = { .base = { &recorder_ops } };
		struct msn_translation t;
		struct msn_hostfile *hf;
		struct msn_mappable *obj;
		int why;

		fill(fd, 8 * PAGE);
		hf = host_of(fd, false);
		obj = msn_hostfile_mappable(hf);
		CHECK(msn_mappable_add_mapping(obj, &r.base, ADDRS(100, 120), 0,
					       true) == 0);
		CHECK(msn_hostfile_truncate(hf, 2 * PAGE + 10) == 0);
		EXPECT(r.calls == 1 && r.copies_too);
		EXPECT(r.last.start == 103 * PAGE && r.last.end == 120 * PAGE);
		EXPECT(msn_mappable_translate(obj, PAGES(2, 4), PAGES(2, 4),
					      MSN_ACCESS_READ, &t, 1,
					      &why) == 1);
		EXPECT(why == MSN_MAPPABLE_E_BUS);
		EXPECT(byte_at(t.file, 2 * PAGE + 9) == 'C');
		EXPECT(byte_at(t.file, 2 * PAGE + 10) == 0);
		EXPECT(byte_at(t.file, 3 * PAGE) == -1);
		CHECK(msn_hostfile_truncate(hf, 5 * PAGE) == 0);
		EXPECT(byte_at(t.file, 2 * PAGE + 10) == 0);
		EXPECT(byte_at(t.file, 4 * PAGE) == 0);
		EXPECT(byte_at(t.file, 5 * PAGE) == -1);
		msn_mappable_remove_mapping(obj, &r.base, ADDRS(100, 120), 0,
					    true);
		host_free(hf);
	}
}

static void a_size_that_cannot_be_changes_nothing(void)
{
	msn_auto(msn_closep) int other = new_file(ON_DISK);
	struct recorder r = { .base = { &recorder_ops } };
	struct msn_hostfile *hf;
	struct msn_mappable *obj;

	fill(other, 4 * PAGE);
	hf = host_of(open_again(other, O_RDONLY), false);
	obj = msn_hostfile_mappable(hf);
	CHECK(msn_mappable_add_mapping(obj, &r.base, ADDRS(0, 4), 0, false) ==
	      0);
	EXPECT(msn_hostfile_truncate(hf, 0) == -EINVAL); /* read only */
	EXPECT(msn_hostfile_truncate(hf, UINT64_MAX) == -EFBIG);
	EXPECT(r.calls == 0);
	EXPECT(byte_at(file_of(hf), 3 * PAGE) == 'D');
	msn_mappable_remove_mapping(obj, &r.base, ADDRS(0, 4), 0, false);
	host_free(hf);
}

static void a_file_that_others_shorten_is_noticed(void)
{
	msn_auto(msn_closep) int other = new_file(ON_DISK);
	struct recorder r = { .base = { &recorder_ops } };
	struct msn_hostfile *hf;
	struct msn_mappable *obj;

	fill(other, 8 * PAGE);
	hf = host_of(dup(other), false);
	obj = msn_hostfile_mappable(hf);
	CHECK(msn_mappable_add_mapping(obj, &r.base, ADDRS(0, 8), 0, true) ==
	      0);
	CHECK(msn_hostfile_revalidate(hf) == 0);
	EXPECT(r.calls == 0);
	CHECK(ftruncate(other, 3 * (off_t)PAGE + 1) == 0);
	EXPECT(byte_at(file_of(hf), 4 * PAGE) == -1); /* at once */
	EXPECT(r.calls == 0);
	CHECK(msn_hostfile_revalidate(hf) == 0);
	EXPECT(r.calls == 1 && r.copies_too);
	EXPECT(r.last.start == 4 * PAGE && r.last.end == 8 * PAGE);
	CHECK(msn_hostfile_revalidate(hf) == 0);
	EXPECT(r.calls == 1);
	/* msync looks, too; and growing is nothing to tell. */
	CHECK(ftruncate(other, 6 * (off_t)PAGE) == 0);
	CHECK(msn_identity_msync(msn_hostfile_identity(hf), PAGES(0, 1)) == 0);
	EXPECT(r.calls == 1);
	CHECK(ftruncate(other, 0) == 0);
	CHECK(msn_identity_msync(msn_hostfile_identity(hf), PAGES(0, 1)) == 0);
	EXPECT(r.calls == 2 && r.last.start == 0 && r.last.end == 6 * PAGE);
	msn_mappable_remove_mapping(obj, &r.base, ADDRS(0, 8), 0, true);
	host_free(hf);
}

static void a_truncation_looks_first(void)
{
	msn_auto(msn_closep) int other = new_file(IN_MEMORY);
	struct recorder r = { .base = { &recorder_ops } };
	struct msn_hostfile *hf;
	struct msn_mappable *obj;

	fill(other, 8 * PAGE);
	hf = host_of(dup(other), false);
	obj = msn_hostfile_mappable(hf);
	CHECK(msn_mappable_add_mapping(obj, &r.base, ADDRS(0, 8), 0, true) ==
	      0);
	/* What others cut off is gone, also if it exists again at once. */
	CHECK(ftruncate(other, (off_t)PAGE) == 0);
	CHECK(msn_hostfile_truncate(hf, 8 * PAGE) == 0);
	EXPECT(r.calls == 1 && r.copies_too);
	EXPECT(r.last.start == PAGE && r.last.end == 8 * PAGE);
	msn_mappable_remove_mapping(obj, &r.base, ADDRS(0, 8), 0, true);
	host_free(hf);
}

static void a_failed_hole_changes_nothing(void)
{
	int fd = new_file(IN_MEMORY);
	struct msn_hostfile *hf;
	struct msn_file *file;
	unsigned nth = 0;
	bool fired;

	fill(fd, 8 * PAGE);
	hf = host_of(fd, false);
	file = file_of(hf);
	do {
		int rc;

		msn_fault_arm(++nth);
		rc = msn_mappable_punch_hole(msn_hostfile_mappable(hf),
					     PAGES(2, 5));
		fired = msn_fault_fired();
		msn_fault_arm(0);
		EXPECT(fired ? rc < 0 : rc == 0);
		EXPECT(byte_at(file, 3 * PAGE) == (fired ? 'D' : 0));
	} while (fired);
	EXPECT(nth > 2);
	host_free(hf);
}

static void a_hole_reads_as_zero_and_leaves_private_copies(void)
{
	FOR_EACH_PLACE(p)
	{
		int fd = new_file(p);
		struct recorder r = { .base = { &recorder_ops } };
		struct msn_hostfile *hf;
		struct msn_mappable *obj;
		uint8_t vec[8];

		fill(fd, 8 * PAGE);
		hf = host_of(fd, false);
		obj = msn_hostfile_mappable(hf);
		CHECK(msn_mappable_add_mapping(obj, &r.base, ADDRS(0, 8), 0,
					       true) == 0);
		EXPECT(byte_at(file_of(hf), 3 * PAGE) == 'D');
		CHECK(msn_mappable_punch_hole(obj, PAGES(2, 5)) == 0);
		EXPECT(r.calls == 1 && !r.copies_too);
		EXPECT(r.last.start == 2 * PAGE && r.last.end == 5 * PAGE);
		CHECK(msn_file_resident(file_of(hf), FILE_PAGES(0, 8), vec) ==
		      0);
		EXPECT(vec[1] && !vec[3] && vec[5]);
		EXPECT(byte_at(file_of(hf), 3 * PAGE) == 0);
		EXPECT(byte_at(file_of(hf), 5 * PAGE) == 'F');
		/* Past the end it is passed over, and nothing gets longer. */
		CHECK(msn_mappable_punch_hole(obj, PAGES(7, 40)) == 0);
		EXPECT(byte_at(file_of(hf), 7 * PAGE) == 0);
		EXPECT(byte_at(file_of(hf), 8 * PAGE) == -1);
		msn_mappable_remove_mapping(obj, &r.base, ADDRS(0, 8), 0, true);
		host_free(hf);
	}
}

static void a_hole_is_refused_with_the_errno_of_linux(void)
{
	int fd = new_file(IN_MEMORY);
	struct msn_hostfile *hf;

	fill(fd, 4 * PAGE);
	hf = host_of(open_again(fd, O_RDONLY), false);
	EXPECT(msn_mappable_punch_hole(msn_hostfile_mappable(hf),
				       PAGES(0, 1)) == -EBADF);
	host_free(hf);
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
	hf = host_of(fd, false);
	EXPECT(msn_mappable_punch_hole(msn_hostfile_mappable(hf),
				       PAGES(0, 1)) == -EPERM);
	EXPECT(byte_at(file_of(hf), 0) == 'A');
	EXPECT(msn_mappable_punch_hole(
		       msn_hostfile_mappable(hf),
		       (struct msn_obj_range){ 0, UINT64_C(1) << 63 }) ==
	       -EFBIG);
	host_free(hf);
}

/* ---- Others -------------------------------------------------------------- */

/* The child answers each byte it is sent with what it sees of the file. */
static void child_of_coherence(int fd, int sock)
{
	char *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char byte;

	if (at == MAP_FAILED)
		_exit(1);
	while (read(sock, &byte, 1) == 1) {
		char seen[2] = { at[100], 0 };

		if (pread(fd, seen + 1, 1, 100) != 1)
			_exit(2);
		at[200] = byte;
		if (pwrite(fd, &byte, 1, 300) != 1 || write(sock, seen, 2) != 2)
			_exit(3);
	}
	_exit(0);
}

static void another_process_sees_each_store_and_we_see_its(void)
{
	FOR_EACH_PLACE(p)
	{
		FOR_BOTH_WAYS(buffered)
		{
			int fd = new_file(p), sock[2], status;
			struct msn_hostfile *hf;
			pid_t pid;
			size_t done;

			fill(fd, PAGE);
			CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sock) == 0);
			pid = fork();
			if (pid == 0) {
				close(sock[0]);
				child_of_coherence(fd, sock[1]);
			}
			close(sock[1]);
			hf = host_of(fd, buffered);
			for (char c = 1; c < 50; c++) {
				char seen[2];

				CHECK(msn_file_write(file_of(hf), 100, &c, 1,
						     &done) == 0);
				CHECK(write(sock[0], &c, 1) == 1);
				CHECK(recv(sock[0], seen, 2, MSG_WAITALL) == 2);
				EXPECT(seen[0] == c && seen[1] == c);
				EXPECT(byte_at(file_of(hf), 200) == c);
				EXPECT(byte_at(file_of(hf), 300) == c);
			}
			close(sock[0]);
			CHECK(waitpid(pid, &status, 0) == pid);
			EXPECT(status == 0);
			host_free(hf);
		}
	}
}

/* ---- Failures ------------------------------------------------------------ */

struct walk {
	struct msn_hostfile *hf;
	struct recorder r;
	int fd;
};

static void *walk_prepare(void)
{
	struct walk *w = msn_alloc(sizeof(*w));

	CHECK(w);
	w->r.base.ops = &recorder_ops;
	w->fd = new_file(ON_DISK);
	fill(w->fd, 4 * PAGE);
	return w;
}

static int walk_body(void *state)
{
	struct walk *w = state;
	struct msn_mappable *obj;
	struct msn_translation t;
	char byte;
	size_t done;
	int why, rc;

	rc = msn_hostfile_new(
		&w->hf, &(struct msn_hostfile_opts){
				.fd = open_again(w->fd, O_RDWR | O_APPEND),
				.path = "x" });
	if (rc)
		return rc;
	obj = msn_hostfile_mappable(w->hf);
	rc = msn_mappable_add_mapping(obj, &w->r.base, ADDRS(0, 4), 0, true);
	if (rc)
		return rc;
	rc = msn_mappable_translate(obj, PAGES(0, 4), PAGES(0, 4),
				    MSN_ACCESS_READ, &t, 1, &why);
	if (rc > 0) {
		msn_file_inc_ref(t.file, FILE_PAGES(0, 4), 0);
		rc = msn_file_read(t.file, PAGE, &byte, 1, &done);
		if (rc == 0)
			rc = msn_file_write(t.file, PAGE, "x", 1, &done);
		if (rc == 0)
			rc = msn_mappable_punch_hole(obj, PAGES(3, 4));
		if (rc == 0)
			rc = msn_identity_msync(msn_hostfile_identity(w->hf),
						PAGES(0, 4));
		if (rc == 0)
			rc = msn_hostfile_truncate(w->hf, 2 * PAGE);
		msn_file_dec_ref(t.file, FILE_PAGES(0, 4));
	}
	msn_mappable_remove_mapping(obj, &w->r.base, ADDRS(0, 4), 0, true);
	return rc;
}

static void walk_verify(void *state, int rc, const char *name)
{
	struct walk *w = state;

	EXPECT(rc <= 0 || rc == MSN_FILE_E_BUS);
	EXPECT(name || rc == 0);
	if (w->hf)
		host_free(w->hf);
	msn_close(w->fd);
	free(w);
}

static void every_failure_leaves_the_file_usable(void)
{
	EXPECT(check_every_fault(walk_prepare, walk_body, walk_verify) > 10);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(the_first_reference_pays_until_the_last_is_gone),
		CHECK_TEST(references_agree_with_a_plain_array),
		CHECK_TEST(windows_without_references_make_room),
		CHECK_TEST(windows_with_references_stay_and_others_go_buffered),
		CHECK_TEST(one_file_gives_its_unused_windows_to_another),
		CHECK_TEST(a_range_over_many_windows_is_read_whole),
		CHECK_TEST(what_is_in_the_page_cache_is_resident),
		CHECK_TEST(pages_that_were_dropped_are_not_resident),
		CHECK_TEST(truncation_invalidates_from_the_rounded_end),
		CHECK_TEST(a_size_that_cannot_be_changes_nothing),
		CHECK_TEST(a_file_that_others_shorten_is_noticed),
		CHECK_TEST(a_truncation_looks_first),
		CHECK_TEST(a_hole_reads_as_zero_and_leaves_private_copies),
		CHECK_TEST(a_failed_hole_changes_nothing),
		CHECK_TEST(a_hole_is_refused_with_the_errno_of_linux),
		CHECK_TEST(another_process_sees_each_store_and_we_see_its),
		CHECK_TEST(every_failure_leaves_the_file_usable),
		{}
	};

	return check_main(argc, argv, "host file", tests);
}
