/*
 * Memory policies: their rules, put to the running kernel where it has one node
 * only, as most have.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mm/mm_calls.h"
#include "unit/mm/twin.h"

#include "base/alloc.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MANY 5 /* MPOL_PREFERRED_MANY */
#define STATIC (1 << 15)
#define RELATIVE (1 << 14)
#define BALANCING (1 << 13)
#define WORDS MSN_POLICY_MASK_WORDS

static const int modes[] = {
	MPOL_DEFAULT,
	MPOL_PREFERRED,
	MPOL_BIND,
	MPOL_INTERLEAVE,
	MPOL_LOCAL,
	MANY,
	6,
	7,
	8,
	1000,
	-1,
	MPOL_PREFERRED | STATIC,
	MPOL_BIND | STATIC,
	MPOL_BIND | RELATIVE,
	MPOL_LOCAL | STATIC,
	MPOL_BIND | STATIC | RELATIVE,
	MANY | BALANCING,
	MPOL_INTERLEAVE | BALANCING,
	MPOL_BIND | 1 << 12,
	MPOL_DEFAULT | STATIC,
};

static const uint64_t masks[] = { 0, 1, 2, 3, UINT64_C(1) << 63 };
static const uint64_t sizes[] = { 0, 1, 2, 3, 64, 65, 1025, 32769, 32770 };

/* A mask of as many words as any size above needs. */
static uint64_t mask[513];

static void set_mask(uint64_t low)
{
	memset(mask, 0, sizeof(mask));
	mask[0] = low;
}

/* Does the kernel have node 0 and no other, and policies at all? */
static bool kernel_has_one_node(void)
{
	unsigned long nodes[WORDS] = { 0 };
	bool one = syscall(SYS_get_mempolicy, NULL, nodes, 1025, NULL,
			   MPOL_F_MEMS_ALLOWED) == 0 &&
		   nodes[0] == 1;

	for (size_t i = 1; i < WORDS; i++)
		one = one && nodes[i] == 0;
	/* A size of one is only enough if no other node is possible. */
	one = one && syscall(SYS_get_mempolicy, NULL, nodes, 1, NULL,
			     MPOL_F_MEMS_ALLOWED) == 0;
	if (!one)
		puts("the kernel has other nodes than one: not compared");
	return one;
}

static int error_of(long rc)
{
	return rc < 0 ? -errno : (int)rc;
}

/* ---- The space's own ----------------------------------------------------- */

static void compare_own(struct msn_mm *mm, int mode, uint64_t size)
{
	uint64_t told[WORDS] = { 7 }, kernel[WORDS] = { 7 };
	int ours = -1, theirs = -1;
	int got = msn_mm_set_mempolicy(mm, mode, mask, size);
	int want = error_of(syscall(SYS_set_mempolicy, mode, mask, size));

	if (got != want)
		printf("mode %x, mask %lx of %lu: %d, the kernel %d\n", mode,
		       (unsigned long)mask[0], (unsigned long)size, got, want);
	EXPECT(got == want);
	got = msn_mm_get_mempolicy(mm, &ours, told, 1025, 0, 0);
	want = error_of(
		syscall(SYS_get_mempolicy, &theirs, kernel, 1025, NULL, 0));
	EXPECT(got == want && ours == theirs);
	if (memcmp(told, kernel, sizeof(told)) != 0)
		printf("mode %x: mask %lx, the kernel %lx\n", mode,
		       (unsigned long)told[0], (unsigned long)kernel[0]);
	EXPECT(memcmp(told, kernel, sizeof(told)) == 0);
	ours = theirs = -1;
	EXPECT(msn_mm_get_mempolicy(mm, &ours, NULL, 0, 0, MPOL_F_NODE) ==
	       error_of(syscall(SYS_get_mempolicy, &theirs, NULL, 0, NULL,
				MPOL_F_NODE)));
	EXPECT(ours == theirs);
}

static void modes_flags_and_masks_are_checked_as_linux_does(void)
{
	struct fixture f = setup(false);

	if (kernel_has_one_node())
		for (size_t i = 0; i < MSN_ARRAY_LEN(modes); i++)
			for (size_t j = 0; j < MSN_ARRAY_LEN(masks); j++)
				for (size_t k = 0; k < MSN_ARRAY_LEN(sizes);
				     k++) {
					set_mask(masks[j]);
					compare_own(f.mm, modes[i], sizes[k]);
				}
	(void)syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0);
	teardown(&f);
}

static void bits_past_the_last_node_must_be_zero(void)
{
	struct fixture f = setup(false);

	if (kernel_has_one_node())
		for (size_t word = 1; word < 20; word++) {
			set_mask(1);
			mask[word] = UINT64_C(1) << 40;
			for (uint64_t size = 1000; size < 1300; size += 7)
				compare_own(f.mm, MPOL_BIND, size);
		}
	(void)syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0);
	teardown(&f);
}

/* ---- Mappings ------------------------------------------------------------ */

static void compare_told(struct msn_mm *mm, uint64_t addr, unsigned long flags,
			 uint64_t size)
{
	uint64_t told[WORDS], kernel[WORDS];
	int ours = -1, theirs = -1, got, want;

	memset(told, 0x55, sizeof(told));
	memset(kernel, 0x55, sizeof(kernel));
	got = msn_mm_get_mempolicy(mm, &ours, told, size, addr, flags);
	want = error_of(
		syscall(SYS_get_mempolicy, &theirs, kernel, size, addr, flags));
	if (got != want || ours != theirs)
		printf("flags %lx, size %lu: %d %d, the kernel %d %d\n", flags,
		       (unsigned long)size, got, ours, want, theirs);
	EXPECT(got == want && ours == theirs);
	EXPECT(memcmp(told, kernel, sizeof(told)) == 0);
}

static void what_is_told_is_what_linux_tells(void)
{
	static const uint64_t told_sizes[] = { 0,  1,	2,    64,  65,
					       66, 700, 1024, 1025 };
	struct fixture f = setup(false);
	void *twin = mmap((void *)(uintptr_t)AT(10), 4 * PAGE, RW,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	CHECK(twin != MAP_FAILED);
	map(f.mm, anon(10, 4));
	for (size_t i = 0; kernel_has_one_node() && i < MSN_ARRAY_LEN(modes);
	     i++) {
		set_mask(1);
		EXPECT(msn_mm_mbind(f.mm, AT(11), PAGE, modes[i], mask, 65,
				    0) ==
		       error_of(syscall(SYS_mbind, AT(11), PAGE, modes[i], mask,
					65, 0)));
		for (unsigned long flags = 0; flags < 16; flags++)
			for (size_t k = 0; k < MSN_ARRAY_LEN(told_sizes); k++) {
				uint64_t size = told_sizes[k];

				compare_told(f.mm, AT(11) + 5, flags, size);
				compare_told(f.mm, AT(10), flags, size);
				compare_told(f.mm, AT(20), flags, size);
				compare_told(f.mm, 0, flags, size);
			}
	}
	munmap(twin, 4 * PAGE);
	teardown(&f);
}

static void policies_cut_and_merge_mappings(void)
{
	/*
	 * |10 .. 12|12 bound 14|14 .. 16|
	 */
	if (!kernel_has_one_node())
		return;
	TWIN("cut", MAP(10, 6, RW), TOUCH(10, 6), BIND(12, 2, MPOL_BIND, 1, 0),
	     BIND(13, 3, MPOL_BIND, 1, 0), BIND(10, 3, MPOL_INTERLEAVE, 1, 0),
	     BIND(10, 6, MPOL_BIND | STATIC, 1, 0),
	     BIND(12, 1, MPOL_BIND | STATIC, 3, 0),
	     BIND(10, 6, MPOL_DEFAULT, 0, 0), BIND(10, 3, MPOL_LOCAL, 0, 0),
	     BIND(13, 3, MPOL_PREFERRED, 0, 0), BIND(10, 6, MPOL_BIND, 2, 0));
	TWIN("moves along", MAP(10, 4, RW), BIND(10, 2, MPOL_BIND, 1, 0),
	     REMAP(10, 2, 2, MREMAP_MAYMOVE | MREMAP_FIXED, 30), MAP(32, 2, RW),
	     BIND(32, 2, MPOL_BIND, 1, 0));
}

static void holes_are_allowed_only_for_the_default(void)
{
	if (!kernel_has_one_node())
		return;
	TWIN("holes", MAP(10, 2, RW), MAP(14, 2, RW),
	     BIND(10, 4, MPOL_BIND, 1, 0), BIND(9, 3, MPOL_BIND, 1, 0),
	     BIND(10, 6, MPOL_BIND, 1, 0), BIND(14, 3, MPOL_BIND, 1, 0),
	     BIND(20, 1, MPOL_BIND, 1, 0), BIND(10, 2, MPOL_BIND, 1, 0),
	     BIND(9, 9, MPOL_DEFAULT, 0, 0), BIND(20, 1, MPOL_DEFAULT, 0, 0),
	     BIND(10, 0, MPOL_DEFAULT, 1, 0), BIND(10, 1, MPOL_DEFAULT, 1, 0),
	     BIND(10, UINT64_C(1) << 51, MPOL_BIND, 1, 0),
	     BIND(10, 2, MPOL_BIND, 1, 8), BIND(10, 2, MPOL_BIND, 1, 3),
	     BIND(10, 2, MPOL_DEFAULT, 0, 1));
	TWIN("strict", MAP(10, 4, RW), BIND(10, 4, MPOL_LOCAL, 0, 1),
	     TOUCH(11, 1), BIND(10, 4, MPOL_PREFERRED, 0, 1),
	     BIND(10, 1, MPOL_LOCAL, 0, 1), BIND(10, 5, MPOL_LOCAL, 0, 1),
	     BIND(10, 4, MPOL_LOCAL, 0, 3), BIND(10, 4, MPOL_BIND, 1, 1));
}

/* ---- More nodes ---------------------------------------------------------- */

/* A space that may use nodes 1, 4 and 70. */
static struct fixture with_nodes(void)
{
	uint64_t nodes[WORDS] = { 1 << 1 | 1 << 4, 1 << 6 };
	struct fixture f;

	CHECK(msn_memfile_new(&f.mf, &(struct msn_memfile_opts){ 0 }) == 0);
	CHECK(msn_mm_new(&f.mm,
			 &(struct msn_mm_opts){ .memfile = f.mf,
						.as = make_platform(false),
						.nodes = nodes }) == 0);
	map(f.mm, anon(10, 4));
	return f;
}

static int bind(struct fixture *f, int mode, uint64_t low, uint64_t high)
{
	uint64_t nodes[2] = { low, high };

	return msn_mm_mbind(f->mm, AT(10), PAGE, mode, nodes, 129, 0);
}

static bool told(struct fixture *f, int mode, uint64_t low, uint64_t high)
{
	uint64_t nodes[WORDS];
	int got;

	CHECK(msn_mm_get_mempolicy(f->mm, &got, nodes, 1025, AT(10),
				   MPOL_F_ADDR) == 0);
	return got == mode && nodes[0] == low && nodes[1] == high;
}

static void nodes_that_the_space_has_not_are_left_out(void)
{
	struct fixture f = with_nodes();
	uint64_t all[WORDS];
	int node;

	EXPECT(bind(&f, MPOL_BIND, 1, 0) == -EINVAL);
	EXPECT(bind(&f, MPOL_BIND, 1 | 1 << 4, 0) == 0);
	EXPECT(told(&f, MPOL_BIND, 1 << 4, 0));
	/* Static ones are told as they were asked for. */
	EXPECT(bind(&f, MPOL_BIND | STATIC, 1 | 1 << 4, 0) == 0);
	EXPECT(told(&f, MPOL_BIND | STATIC, 1 | 1 << 4, 0));
	EXPECT(bind(&f, MPOL_PREFERRED, 1 << 4, 1 << 6) == 0);
	EXPECT(told(&f, MPOL_PREFERRED, 1 << 4, 0));
	EXPECT(bind(&f, MPOL_INTERLEAVE, 0, 1 << 6) == 0);
	EXPECT(told(&f, MPOL_INTERLEAVE, 0, 1 << 6));
	EXPECT(msn_mm_get_mempolicy(f.mm, &node, NULL, 0, AT(10),
				    MPOL_F_ADDR | MPOL_F_NODE) == 0);
	EXPECT(node == 70);
	EXPECT(msn_mm_get_mempolicy(f.mm, &node, NULL, 0, AT(12),
				    MPOL_F_ADDR | MPOL_F_NODE) == 0);
	EXPECT(node == 1);
	EXPECT(msn_mm_get_mempolicy(f.mm, NULL, all, 70, 0,
				    MPOL_F_MEMS_ALLOWED) == -EINVAL);
	EXPECT(msn_mm_get_mempolicy(f.mm, NULL, all, 71, 0,
				    MPOL_F_MEMS_ALLOWED) == 0);
	EXPECT(all[0] == (1 << 1 | 1 << 4) && all[1] == 1 << 6);
	teardown(&f);
}

static void relative_nodes_are_counted_round(void)
{
	/*
	 * relative   0 1  2 3 4 ...
	 * node       1 4 70 1 4 ...
	 */
	struct fixture f = with_nodes();

	EXPECT(bind(&f, MPOL_BIND | RELATIVE, 1 << 4, 0) == 0);
	EXPECT(told(&f, MPOL_BIND | RELATIVE, 1 << 4, 0));
	EXPECT(bind(&f, MPOL_PREFERRED | RELATIVE, 1 << 5, 0) == 0);
	CHECK(msn_mm_set_mempolicy(f.mm, MPOL_INTERLEAVE | RELATIVE,
				   (uint64_t[]){ 1 << 2 }, 65) == 0);
	{
		int node;

		EXPECT(msn_mm_get_mempolicy(f.mm, &node, NULL, 0, 0,
					    MPOL_F_NODE) == 0);
		EXPECT(node == 70);
	}
	teardown(&f);
}

static void children_have_the_policies_of_their_parent(void)
{
	struct fixture f = with_nodes(), c = f;
	int mode;

	EXPECT(bind(&f, MPOL_BIND, 1 << 4, 0) == 0);
	CHECK(msn_mm_set_mempolicy(f.mm, MPOL_LOCAL, NULL, 0) == 0);
	CHECK(msn_mm_fork(f.mm, make_platform(false), &c.mm) == 0);
	EXPECT(told(&c, MPOL_BIND, 1 << 4, 0));
	EXPECT(msn_mm_get_mempolicy(c.mm, &mode, NULL, 0, 0, 0) == 0);
	EXPECT(mode == MPOL_LOCAL);
	EXPECT(bind(&c, MPOL_BIND, 1 << 1, 0) == 0);
	msn_mm_free(c.mm);
	teardown(&f);
}

static void moving_all_needs_a_right(void)
{
	struct fixture f = with_nodes();
	struct msn_mm_limits l = msn_mm_no_limits();
	uint64_t node = 1 << 4;

	EXPECT(msn_mm_mbind(f.mm, AT(10), PAGE, MPOL_BIND, &node, 65,
			    MPOL_MF_MOVE_ALL) == 0);
	l.can_move_all = false;
	msn_mm_set_limits(f.mm, &l);
	EXPECT(msn_mm_mbind(f.mm, AT(10) + 1, PAGE, MPOL_BIND, &node, 65,
			    MPOL_MF_MOVE_ALL) == -EPERM);
	EXPECT(msn_mm_mbind(f.mm, AT(10) + 1, PAGE, MPOL_BIND, &node, 65, 0) ==
	       -EINVAL);
	l.mappings = 1;
	msn_mm_set_limits(f.mm, &l);
	EXPECT(msn_mm_mbind(f.mm, AT(11), PAGE, MPOL_LOCAL, NULL, 0, 0) ==
	       -ENOMEM);
	teardown(&f);
}

/* ---- Failures ------------------------------------------------------------ */

static void *prepare_walk(void)
{
	struct fixture *f = malloc(sizeof(*f));

	CHECK(f);
	*f = with_nodes();
	return f;
}

static int walk(void *state)
{
	return bind(state, MPOL_BIND, 1 << 4, 0);
}

static void verify(void *state, int rc, const char *name)
{
	struct fixture *f = state;

	EXPECT(name ? rc == -ENOMEM || rc == 0 : rc == 0);
	EXPECT(told(f, rc ? MPOL_DEFAULT : MPOL_BIND, rc ? 0 : 1 << 4, 0));
	teardown(f);
	free(f);
}

static void a_policy_that_fails_changes_nothing(void)
{
	EXPECT(check_every_fault(prepare_walk, walk, verify) > 0);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(modes_flags_and_masks_are_checked_as_linux_does),
		CHECK_TEST(bits_past_the_last_node_must_be_zero),
		CHECK_TEST(what_is_told_is_what_linux_tells),
		CHECK_TEST(policies_cut_and_merge_mappings),
		CHECK_TEST(holes_are_allowed_only_for_the_default),
		CHECK_TEST(nodes_that_the_space_has_not_are_left_out),
		CHECK_TEST(relative_nodes_are_counted_round),
		CHECK_TEST(children_have_the_policies_of_their_parent),
		CHECK_TEST(moving_all_needs_a_right),
		CHECK_TEST(a_policy_that_fails_changes_nothing),
		{}
	};

	return check_main(argc, argv, "mm mempolicy", tests);
}
