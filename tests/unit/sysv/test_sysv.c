/*
 * System V segments: what the oracle test does not reach.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sysv/sysv.h"

#include "base/cleanup.h"
#include "mm/mm.h"
#include "support/check.h"

#include <errno.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#define PAGE MSN_PAGE_SIZE
#define AT(page) (UINT64_C(0x100000) + (page)*PAGE)
#define ADDRS(a, b) ((struct msn_addr_range){ AT(a), AT(b) })
#define RW (MSN_ACCESS_READ | MSN_ACCESS_WRITE)

static const struct msn_sysv_cred root = { .cap_ipc_owner = true,
					   .cap_ipc_lock = true,
					   .cap_sys_admin = true };

struct fixture {
	struct msn_memfile *mf;
	struct msn_sysv *ns;
	struct msn_sysv_host host;
	struct msn_mapping_space space;
	int64_t now;
	int32_t pid;
};

static int64_t now(struct msn_sysv_host *host)
{
	return msn_container_of(host, struct fixture, host)->now;
}

static int32_t pid(struct msn_sysv_host *host)
{
	return msn_container_of(host, struct fixture, host)->pid;
}

static const struct msn_sysv_host_ops host_ops = { now, pid };

static void ignore(struct msn_mapping_space *ms, struct msn_addr_range ar,
		   struct msn_invalidate_opts opts)
{
	(void)ms;
	(void)ar;
	(void)opts;
}

static const struct msn_mapping_space_ops space_ops = { .invalidate = ignore };

static void setup_limits(struct fixture *f, struct msn_sysv_opts limits)
{
	*f = (struct fixture){ .host = { &host_ops },
			       .space = { &space_ops },
			       .now = 100,
			       .pid = 10 };
	CHECK(msn_memfile_new(&f->mf, &(struct msn_memfile_opts){ 0 }) == 0);
	limits.memfile = f->mf;
	limits.host = &f->host;
	CHECK(msn_sysv_new(&f->ns, &limits) == 0);
}

static void setup(struct fixture *f)
{
	setup_limits(f, (struct msn_sysv_opts){ 0 });
}

static void teardown(struct fixture *f)
{
	msn_sysv_free(f->ns);
	EXPECT(msn_memfile_used(f->mf) == 0);
	msn_memfile_free(f->mf);
}

static int get(struct fixture *f, int key, uint64_t size, int flags)
{
	return msn_sysv_shmget(f->ns, &root, key, size, flags);
}

static struct msn_sysv_attach at(struct fixture *f, int id, uint64_t addr,
				 int flags)
{
	struct msn_sysv_attach a;

	CHECK(msn_sysv_shmat(f->ns, &root, id, addr, flags, &a) == 0);
	return a;
}

/* What a space keeps of a segment that it maps. */
struct mapped {
	struct msn_mappable *obj;
	struct msn_identity *id;
};

/* Maps the whole of a segment at page @page of the fixture's space. */
static struct mapped map(struct fixture *f, int id, uint64_t page)
{
	struct msn_sysv_attach a = at(f, id, AT(page), 0);
	struct mapped m = { a.opts.mappable, a.opts.mapping_identity };
	uint64_t pages = (a.opts.length + PAGE - 1) / PAGE;

	CHECK(msn_mappable_add_mapping(m.obj, &f->space,
				       ADDRS(page, page + pages), 0,
				       true) == 0);
	msn_identity_inc_ref(m.id);
	CHECK(msn_sysv_attached(&a, 0) == 0);
	return m;
}

static void unmap(struct fixture *f, struct mapped *m, uint64_t page,
		  uint64_t pages)
{
	msn_mappable_remove_mapping(m->obj, &f->space,
				    ADDRS(page, page + pages), 0, true);
	msn_identity_dec_ref(m->id);
}

static struct msn_sysv_stat stat_of(struct fixture *f, int id)
{
	struct msn_sysv_stat st;

	CHECK(msn_sysv_stat(f->ns, &root, id, &st) == 0);
	return st;
}

static void a_mapping_shows_key_and_id(void)
{
	struct msn_sysv_attach a;
	struct fixture f;
	int id;

	setup(&f);
	CHECK(get(&f, IPC_PRIVATE, 1, 0600) == 0);
	id = get(&f, 0x1ab, PAGE + 1, IPC_CREAT | 0600);
	a = at(&f, id, 0, 0);
	EXPECT(!strcmp(msn_identity_mapped_name(a.opts.mapping_identity),
		       "/SYSV000001ab (deleted)"));
	EXPECT(msn_identity_inode_id(a.opts.mapping_identity) == (uint64_t)id);
	EXPECT(a.opts.length == PAGE + 1 && !a.opts.private);
	EXPECT(!a.opts.fixed && a.opts.perms == RW);
	EXPECT(msn_sysv_attached(&a, 0) == 0);
	teardown(&f);
}

static void a_read_only_attachment_can_never_be_written(void)
{
	struct msn_sysv_attach a;
	struct fixture f;

	setup(&f);
	a = at(&f, get(&f, IPC_PRIVATE, 1, 0600), 0, SHM_RDONLY);
	EXPECT(a.opts.perms == MSN_ACCESS_READ);
	EXPECT(a.opts.max_perms == (MSN_ACCESS_READ | MSN_ACCESS_EXEC));
	EXPECT(msn_sysv_attached(&a, -ENOMEM) == -ENOMEM);
	teardown(&f);
}

static void something_in_the_way_is_einval(void)
{
	struct msn_sysv_attach a;
	struct fixture f;

	setup(&f);
	a = at(&f, get(&f, IPC_PRIVATE, 1, 0600), AT(3) + 5, SHM_RND);
	EXPECT(a.opts.addr == AT(3) && a.opts.fixed && a.opts.no_replace);
	EXPECT(msn_sysv_attached(&a, -EEXIST) == -EINVAL);
	a = at(&f, 0, AT(3), SHM_REMAP);
	EXPECT(a.opts.fixed && a.opts.unmap && !a.opts.no_replace);
	EXPECT(msn_sysv_attached(&a, 0) == 0);
	teardown(&f);
}

static void a_page_past_the_segment_is_a_bus_error(void)
{
	const struct msn_obj_range past = { 2 * PAGE, 3 * PAGE };
	struct msn_translation t;
	struct fixture f;
	struct mapped m;
	int why;

	setup(&f);
	m = map(&f, get(&f, IPC_PRIVATE, PAGE + 1, 0600), 0);
	EXPECT(msn_mappable_translate(m.obj, past, past, MSN_ACCESS_READ, &t, 1,
				      &why) == 0);
	EXPECT(why == MSN_MAPPABLE_E_BUS);
	unmap(&f, &m, 0, 2);
	teardown(&f);
}

/* ---- Life ---------------------------------------------------------------- */

static void a_removed_segment_goes_with_its_last_mapping(void)
{
	struct msn_sysv_stat st;
	struct fixture f;
	struct mapped m;
	int id;

	setup(&f);
	id = get(&f, 5, PAGE, IPC_CREAT | 0600);
	m = map(&f, id, 0);
	CHECK(msn_sysv_remove(f.ns, &root, id) == 0);
	EXPECT(get(&f, 5, PAGE, 0) == -ENOENT); /* the key is free at once */
	st = stat_of(&f, id);
	EXPECT(st.key == IPC_PRIVATE && (st.mode & 01000) && st.nattch == 1);
	/* Its id still works. */
	msn_mappable_remove_mapping(m.obj, &f.space, ADDRS(0, 1), 0, true);
	EXPECT(msn_sysv_stat(f.ns, &root, id, &st) == -EINVAL);
	EXPECT(msn_sysv_usage(f.ns).segments == 0);
	EXPECT(msn_sysv_usage(f.ns).pages == 0);
	msn_identity_dec_ref(m.id);
	teardown(&f);
}

static void a_segment_stays_while_it_is_being_attached(void)
{
	struct msn_sysv_attach a;
	struct msn_sysv_stat st;
	struct fixture f;
	int id;

	setup(&f);
	id = get(&f, 5, PAGE, IPC_CREAT | 0600);
	a = at(&f, id, 0, 0);
	CHECK(msn_sysv_remove(f.ns, &root, id) == 0);
	EXPECT(stat_of(&f, id).nattch == 1);
	EXPECT(msn_sysv_attached(&a, -ENOMEM) == -ENOMEM);
	EXPECT(msn_sysv_stat(f.ns, &root, id, &st) == -EINVAL);
	teardown(&f);
}

static void the_books_name_who_came_and_went_last(void)
{
	struct msn_sysv_stat st;
	struct fixture f;
	struct mapped m;
	int id;

	setup(&f);
	id = get(&f, 5, 2 * PAGE, IPC_CREAT | 0600);
	st = stat_of(&f, id);
	EXPECT(st.ctime == 100 && st.cpid == 10);
	EXPECT(st.atime == 0 && st.dtime == 0 && st.lpid == 0);
	f.now = 200;
	f.pid = 20;
	m = map(&f, id, 0);
	f.now = 300;
	f.pid = 30;
	/* A fork: the same places in another space. */
	CHECK(msn_mappable_add_mapping(m.obj, &f.space, ADDRS(8, 10), 0,
				       true) == 0);
	st = stat_of(&f, id);
	EXPECT(st.atime == 300 && st.lpid == 30 && st.nattch == 2);
	f.now = 400;
	msn_mappable_remove_mapping(m.obj, &f.space, ADDRS(8, 10), 0, true);
	st = stat_of(&f, id);
	EXPECT(st.atime == 300 && st.dtime == 400 && st.nattch == 1);
	f.now = 500;
	CHECK(msn_sysv_set(f.ns, &root, id, 7, 8, 0640) == 0);
	EXPECT(stat_of(&f, id).ctime == 500);
	unmap(&f, &m, 0, 2);
	teardown(&f);
}

static void the_three_limits_hold(void)
{
	struct fixture f;

	setup_limits(&f, (struct msn_sysv_opts){ .shmmax = 4 * PAGE,
						 .shmall = 6,
						 .shmmni = 3 });
	EXPECT(get(&f, 1, 4 * PAGE + 1, IPC_CREAT) == -EINVAL);
	EXPECT(get(&f, 1, 4 * PAGE, IPC_CREAT) == 0);
	EXPECT(get(&f, 2, 2 * PAGE + 1, IPC_CREAT) == -ENOSPC);
	EXPECT(get(&f, 2, PAGE, IPC_CREAT) == 1);
	EXPECT(get(&f, 3, PAGE, IPC_CREAT) == 2);
	CHECK(msn_sysv_remove(f.ns, &root, 0) == 0);
	EXPECT(get(&f, 4, PAGE, IPC_CREAT) == 3);
	EXPECT(get(&f, 5, PAGE, IPC_CREAT) == -ENOSPC);
	EXPECT(get(&f, 4, PAGE, 0) == 3); /* what is there is found */
	teardown(&f);
}

static void a_supplementary_group_has_the_rights_of_the_group(void)
{
	const uint32_t groups[] = { 3, 8 };
	struct msn_sysv_cred user = { .uid = 5, .gid = 6 };
	struct msn_sysv_attach a;
	struct fixture f;
	int id;

	setup(&f);
	id = get(&f, 1, PAGE, IPC_CREAT | 0600);
	CHECK(msn_sysv_set(f.ns, &root, id, 7, 8, 0040) == 0);
	EXPECT(msn_sysv_shmat(f.ns, &user, id, 0, SHM_RDONLY, &a) == -EACCES);
	user.groups = groups;
	user.group_count = 2;
	EXPECT(msn_sysv_shmat(f.ns, &user, id, 0, 0, &a) == -EACCES);
	CHECK(msn_sysv_shmat(f.ns, &user, id, 0, SHM_RDONLY, &a) == 0);
	EXPECT(msn_sysv_attached(&a, 0) == 0);
	teardown(&f);
}

/* ---- Detaching ----------------------------------------------------------- */

static void only_pieces_of_one_attachment_are_detached(void)
{
	/*
	 * pages    10   11   12   13   14 | 15
	 * shows     0    1    .    3    4 |  5   of a segment of five pages
	 * of        a    b         a    a |  a
	 */
	struct msn_sysv_detach d;
	struct fixture f;
	struct mapped a, b;
	int id;

	setup(&f);
	id = get(&f, 1, 4 * PAGE + 1, IPC_CREAT | 0600);
	a = map(&f, id, 10);
	b = map(&f, id, 20);
	CHECK(msn_sysv_detach_begin(&d, AT(10) + 1) == -EINVAL);
	CHECK(msn_sysv_detach_begin(&d, AT(10)) == 0);
	EXPECT(msn_sysv_detach_look(&d, ADDRS(9, 11), NULL, NULL, 0) ==
	       MSN_SYSV_DETACH_SKIP);
	EXPECT(msn_sysv_detach_look(&d, ADDRS(10, 11), a.obj, a.id, PAGE) ==
	       MSN_SYSV_DETACH_SKIP);
	EXPECT(msn_sysv_detach_end(&d) == -EINVAL);
	EXPECT(msn_sysv_detach_look(&d, ADDRS(10, 11), a.obj, a.id, 0) ==
	       MSN_SYSV_DETACH_TAKE);
	EXPECT(msn_sysv_detach_look(&d, ADDRS(11, 12), b.obj, b.id, PAGE) ==
	       MSN_SYSV_DETACH_SKIP);
	EXPECT(msn_sysv_detach_look(&d, ADDRS(13, 15), a.obj, a.id, 3 * PAGE) ==
	       MSN_SYSV_DETACH_TAKE);
	EXPECT(msn_sysv_detach_look(&d, ADDRS(15, 16), a.obj, a.id, 5 * PAGE) ==
	       MSN_SYSV_DETACH_STOP);
	EXPECT(msn_sysv_detach_end(&d) == 0);
	unmap(&f, &a, 10, 5);
	unmap(&f, &b, 20, 5);
	teardown(&f);
}

/* ---- With mm ------------------------------------------------------------- */

static struct msn_mm *new_space(struct fixture *f)
{
	struct msn_address_space *as;
	struct msn_mm *mm;

	CHECK(msn_platform_none_new(&as) == 0);
	CHECK(msn_mm_new(&mm, &(struct msn_mm_opts){ .memfile = f->mf,
						     .as = as }) == 0);
	return mm;
}

static int attach(struct fixture *f, struct msn_mm *mm, int id, uint64_t addr,
		  uint64_t *where)
{
	struct msn_sysv_attach a = at(f, id, addr, 0);

	return msn_sysv_attached(&a, msn_mm_mmap(mm, &a.opts, where));
}

static void two_spaces_share_a_segment_until_both_let_go(void)
{
	const struct msn_mm_io io = { 0 };
	struct msn_mm *mm[2];
	uint64_t where[2];
	char text[6] = "";
	struct fixture f;
	size_t done;
	int id;

	setup(&f);
	id = get(&f, 1, 2 * PAGE, IPC_CREAT | 0600);
	for (int i = 0; i < 2; i++) {
		mm[i] = new_space(&f);
		CHECK(attach(&f, mm[i], id, i ? AT(0) : 0, &where[i]) == 0);
	}
	EXPECT(attach(&f, mm[1], id, AT(1), &where[1]) == -EINVAL);
	CHECK(msn_sysv_remove(f.ns, &root, id) == 0);
	CHECK(msn_mm_copy_out(mm[0], where[0] + PAGE - 3, "hello", 6, io,
			      &done) == 0);
	CHECK(msn_mm_copy_in(mm[1], AT(0) + PAGE - 3, text, 6, io, &done) == 0);
	EXPECT(!strcmp(text, "hello"));
	msn_mm_free(mm[0]);
	EXPECT(stat_of(&f, id).nattch == 1);
	CHECK(msn_mm_munmap(mm[1], AT(0), 2 * PAGE) == 0);
	EXPECT(msn_sysv_usage(f.ns).segments == 0);
	EXPECT(msn_memfile_used(f.mf) == 0);
	msn_mm_free(mm[1]);
	teardown(&f);
}

/* ---- Failures ------------------------------------------------------------ */

static void *walk_prepare(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	CHECK(f);
	setup(f);
	return f;
}

static int get_body(void *state)
{
	int id = get(state, 1, PAGE, IPC_CREAT | 0600);

	return id < 0 ? id : 0;
}

static void get_verify(void *state, int rc, const char *name)
{
	struct fixture *f = state;

	EXPECT(rc == (name ? -ENOMEM : 0));
	EXPECT(msn_sysv_usage(f->ns).segments == (rc ? 0 : 1));
	EXPECT(get(f, 1, PAGE, IPC_CREAT | 0600) == 0);
	teardown(f);
	free(f);
}

static void a_failed_shmget_makes_nothing(void)
{
	EXPECT(check_every_fault(walk_prepare, get_body, get_verify) >= 4);
}

static void *attach_prepare(void)
{
	struct fixture *f = walk_prepare();

	CHECK(get(f, 1, PAGE, IPC_CREAT | 0600) == 0);
	return f;
}

static int attach_body(void *state)
{
	struct fixture *f = state;
	struct msn_sysv_attach a;
	struct msn_mappable *obj;
	int rc = msn_sysv_shmat(f->ns, &root, 0, AT(0), 0, &a);

	if (rc)
		return rc;
	obj = a.opts.mappable;
	rc = msn_mappable_add_mapping(obj, &f->space, ADDRS(0, 1), 0, true);
	if (rc == 0)
		msn_mappable_remove_mapping(obj, &f->space, ADDRS(0, 1), 0,
					    true);
	return msn_sysv_attached(&a, rc);
}

static void attach_verify(void *state, int rc, const char *name)
{
	struct fixture *f = state;

	EXPECT(rc == (name ? -ENOMEM : 0));
	EXPECT(stat_of(f, 0).nattch == 0);
	EXPECT((stat_of(f, 0).atime != 0) == (rc == 0));
	teardown(f);
	free(f);
}

static void a_failed_shmat_leaves_the_books(void)
{
	EXPECT(check_every_fault(attach_prepare, attach_body, attach_verify) >=
	       2);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_mapping_shows_key_and_id),
		CHECK_TEST(a_read_only_attachment_can_never_be_written),
		CHECK_TEST(something_in_the_way_is_einval),
		CHECK_TEST(a_page_past_the_segment_is_a_bus_error),
		CHECK_TEST(a_removed_segment_goes_with_its_last_mapping),
		CHECK_TEST(a_segment_stays_while_it_is_being_attached),
		CHECK_TEST(the_books_name_who_came_and_went_last),
		CHECK_TEST(the_three_limits_hold),
		CHECK_TEST(a_supplementary_group_has_the_rights_of_the_group),
		CHECK_TEST(only_pieces_of_one_attachment_are_detached),
		CHECK_TEST(two_spaces_share_a_segment_until_both_let_go),
		CHECK_TEST(a_failed_shmget_makes_nothing),
		CHECK_TEST(a_failed_shmat_leaves_the_books),
		{}
	};

	return check_main(argc, argv, "sysv", tests);
}
