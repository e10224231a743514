/*
 * The rules of memmap: when mappables, files and identities are
 * called.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rules/rule.h"

#include <sys/mman.h>

/* ---- When a mappable is told --------------------------------------------- */

static void told_before_inserted(void)
{
	ON_GROUND(g)
	{
		map(g->f.mm, of_recorder(&g->r, 0, 4, false));
		SAYS(g, "add 0-4@0w "); /* and nothing there meanwhile */
	}
}

static void told_after_unmapping(void)
{
	ON_GROUND(g)
	{
		map(g->f.mm, anon(0, 4));
		put(g->f.mm, AT(1), 'x');
		map(g->f.mm, of_recorder(&g->r, 0, 4, false));
		SAYS(g, "add 0-4@0w ");
	}
}

static void told_before_referenced(void)
{
	ON_GROUND(g)
	{
		g->r.add_error = -EPERM;
		EXPECT(try_map(g->f.mm, of_recorder(&g->r, 0, 4, false)) ==
		       -EPERM);
		EXPECT(g->r.id_refs == 0);
	}
}

static void add_error_is_the_result(void)
{
	ON_GROUND(g)
	{
		map(g->f.mm, anon(1, 1));
		put(g->f.mm, AT(1), 'x');
		g->r.add_error = -ENXIO;
		EXPECT(try_map(g->f.mm, of_recorder(&g->r, 0, 4, false)) ==
		       -ENXIO);
		EXPECT(mapping_count(g->f.mm) == 0);
		EXPECT(get(g->f.mm, AT(1)) == -EFAULT);
	}
}

static void limits_come_first(void)
{
	struct msn_mm_limits l = msn_mm_no_limits();

	ON_GROUND(g)
	{
		l.as = 2 * PAGE;
		msn_mm_set_limits(g->f.mm, &l);
		EXPECT(try_map(g->f.mm, of_recorder(&g->r, 0, 4, false)) ==
		       -ENOMEM);
		SAYS(g, "");
	}
}

static void writable_is_shared_and_may_write(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = of_recorder(&g->r, 0, 1, false);

		o.perms = MSN_ACCESS_READ;
		map(g->f.mm, o);
		o.addr = AT(1);
		o.max_perms = MSN_ACCESS_READ;
		o.file_read_only = true;
		map(g->f.mm, o);
		map(g->f.mm, of_recorder(&g->r, 2, 1, true));
		SAYS(g, "add 0-1@0w add 1-2@0r add 2-3@0r ");
	}
}

static void protecting_tells_nothing(void)
{
	ON_GROUND(g)
	{
		map(g->f.mm, of_recorder(&g->r, 0, 4, false));
		recorder_take(&g->r);
		CHECK(msn_mm_mprotect(g->f.mm, AT(1), PAGE, PROT_READ) == 0);
		SAYS(g, "");
		CHECK(msn_mm_munmap(g->f.mm, AT(1), PAGE) == 0);
		SAYS(g, "remove 1-2@1w ");
	}
}

static void overflow_is_refused(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = of_recorder(&g->r, 0, 4, false);

		o.offset = -(uint64_t)(2 * PAGE);
		EXPECT(try_map(g->f.mm, o) == -EOVERFLOW);
		SAYS(g, "");
	}
}

static void a_fork_adds_each(void)
{
	ON_GROUND(g)
	{
		struct msn_mm *child;

		map(g->f.mm, of_recorder(&g->r, 0, 4, false));
		CHECK(msn_mm_mprotect(g->f.mm, AT(1), PAGE, PROT_READ) == 0);
		recorder_take(&g->r);
		g->r.mm = NULL;
		CHECK(msn_mm_fork(g->f.mm, make_platform(false), &child) == 0);
		SAYS(g, "add 0-1@0w add 1-2@1w add 2-4@2w ");
		msn_mm_free(child);
		EXPECT(g->r.id_refs == 3);
	}
}

static void a_fork_fails_with_the_error(void)
{
	ON_GROUND(g)
	{
		struct msn_mm *child;

		map(g->f.mm, of_recorder(&g->r, 0, 4, false));
		g->r.mm = NULL;
		g->r.add_error = -EPERM;
		EXPECT(msn_mm_fork(g->f.mm, make_platform(false), &child) ==
		       -EPERM);
		EXPECT(g->r.id_refs == 1);
	}
}

static void removed_after_the_placements(void)
{
	ON_GROUND(g)
	{
		map(g->f.mm, of_recorder(&g->r, 0, 4, false));
		EXPECT(get(g->f.mm, AT(1)) == 'B');
		recorder_take(&g->r);
		CHECK(msn_mm_munmap(g->f.mm, AT(0), 4 * PAGE) == 0);
		SAYS(g, "unref remove 0-4@0w ");
	}
}

static void pieces_and_unions(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = of_recorder(&g->r, 2, 2, false);

		map(g->f.mm, of_recorder(&g->r, 0, 2, false));
		o.offset = 2 * PAGE;
		map(g->f.mm, o);
		recorder_take(&g->r);
		CHECK(msn_mm_munmap(g->f.mm, AT(1), 2 * PAGE) == 0);
		SAYS(g, "remove 1-3@1w ");
		CHECK(msn_mm_munmap(g->f.mm, AT(0), 4 * PAGE) == 0);
		SAYS(g, "remove 0-1@0w remove 3-4@3w ");
	}
}

static void the_end_removes(void)
{
	struct recorder r;
	struct fixture f = setup(false);

	recorder_init(&r);
	map(f.mm, of_recorder(&r, 0, 4, false));
	EXPECT(get(f.mm, AT(3)) == 'D');
	recorder_take(&r);
	teardown(&f);
	EXPECT(strcmp(recorder_take(&r), "unref remove 0-4@0w ") == 0);
	recorder_deinit(&r);
}

static int move_to(struct ground *g, uint64_t page, uint64_t pages,
		   uint64_t new_pages, uint64_t to)
{
	uint64_t out;

	return msn_mm_mremap(g->f.mm, AT(page), pages * PAGE, new_pages * PAGE,
			     MREMAP_MAYMOVE | MREMAP_FIXED, AT(to), &out);
}

static void a_move_copies_then_removes(void)
{
	ON_GROUND(g)
	{
		map(g->f.mm, of_recorder(&g->r, 0, 4, false));
		EXPECT(get(g->f.mm, AT(1)) == 'B');
		recorder_take(&g->r);
		EXPECT(move_to(g, 0, 4, 6, 20) == 0);
		SAYS(g, "copy 0-4>20-26@0w remove 0-4@0w ");
		EXPECT(get(g->f.mm, AT(21)) == 'B');
		SAYS(g, ""); /* the page came along */
	}
}

static void a_move_of_nothing_duplicates(void)
{
	ON_GROUND(g)
	{
		map(g->f.mm, of_recorder(&g->r, 0, 4, false));
		recorder_take(&g->r);
		EXPECT(move_to(g, 1, 0, 2, 20) == 0);
		SAYS(g, "copy 1-1>20-22@1w ");
		EXPECT(get(g->f.mm, AT(20)) == 'B');
		EXPECT(g->r.id_refs == 2);
	}
}

static void a_refused_move_changes_nothing(void)
{
	ON_GROUND(g)
	{
		map(g->f.mm, of_recorder(&g->r, 0, 4, false));
		recorder_take(&g->r);
		g->r.copy_error = -EINVAL;
		EXPECT(move_to(g, 0, 4, 4, 20) == -EINVAL);
		SAYS(g, "copy 0-4>20-24@0w ");
		EXPECT(get(g->f.mm, AT(2)) == 'C');
		EXPECT(mapping_count(g->f.mm) == 1);
	}
}

static void growing_in_place_adds(void)
{
	ON_GROUND(g)
	{
		uint64_t out;

		map(g->f.mm, of_recorder(&g->r, 0, 4, false));
		recorder_take(&g->r);
		CHECK(msn_mm_mremap(g->f.mm, AT(0), 4 * PAGE, 6 * PAGE, 0, 0,
				    &out) == 0);
		SAYS(g, "add 4-6@4w ");
		EXPECT(mapping_count(g->f.mm) == 1);
	}
}

/* ---- Before a save ------------------------------------------------------- */

static int prepare_save(struct ground *g)
{
	char name[64];

	return msn_mm_invalidate_unsavable(g->f.mm, name, sizeof(name));
}

static void asked_once_a_mapping(void)
{
	ON_GROUND(g)
	{
		map(g->f.mm, of_recorder(&g->r, 0, 2, false));
		map(g->f.mm, of_recorder(&g->r, 4, 2, true));
		recorder_take(&g->r);
		EXPECT(prepare_save(g) == 0);
		SAYS(g, "save save ");
	}
}

static void the_first_error_ends_it(void)
{
	ON_GROUND(g)
	{
		map(g->f.mm, of_recorder(&g->r, 0, 2, false));
		map(g->f.mm, of_recorder(&g->r, 4, 2, true));
		recorder_take(&g->r);
		g->r.save_error = -EIO;
		EXPECT(prepare_save(g) == -EIO);
		SAYS(g, "save ");
	}
}

/* ---- Invalidate ---------------------------------------------------------- */

static void drop(struct ground *g, uint64_t from, uint64_t to, bool private)
{
	msn_mapping_space_invalidate(
		msn_mm_mapping_space(g->f.mm),
		(struct msn_addr_range){ AT(from), AT(to) },
		(struct msn_invalidate_opts){ .invalidate_private = private });
}

static void shared_goes_always(void)
{
	ON_GROUND(g)
	{
		map(g->f.mm, of_recorder(&g->r, 0, 4, false));
		put(g->f.mm, AT(1), 'x');
		recorder_take(&g->r);
		drop(g, 0, 4, false);
		SAYS(g, "unref ");
		EXPECT(g->r.page_refs == 0);
		put(g->f.mm, AT(1), 'y');
		SAYS(g, "ask 1-2/1-2:2 ref ");
	}
}

static void private_goes_when_told(void)
{
	ON_GROUND(g)
	{
		map(g->f.mm, of_recorder(&g->r, 0, 4, true));
		put(g->f.mm, AT(1), 'x');
		drop(g, 0, 4, false);
		EXPECT(get(g->f.mm, AT(1)) == 'x');
		drop(g, 0, 4, true);
		EXPECT(get(g->f.mm, AT(1)) == 'B');
	}
}

static void a_part_is_dropped_alone(void)
{
	size_t done;

	ON_GROUND(g)
	{
		map(g->f.mm, of_recorder(&g->r, 0, 4, false));
		CHECK(msn_mm_zero_out(g->f.mm, AT(0), 4 * PAGE, plain, &done) ==
		      0);
		drop(g, 1, 2, false);
		EXPECT(g->r.page_refs == 3);
		recorder_take(&g->r);
		put(g->f.mm, AT(1), 'y');
		SAYS(g, "ask 1-2/1-2:2 ref ");
	}
}

/* ---- Files --------------------------------------------------------------- */

static void buffered_files_are_copied(void)
{
	ON_GROUND(g)
	{
		g->r.buffered = true;
		map(g->f.mm, of_recorder(&g->r, 0, 4, false));
		EXPECT(get(g->f.mm, AT(2)) == 'C');
		EXPECT(strstr(recorder_take(&g->r), "read ") != NULL);
		put(g->f.mm, AT(2) + 1, 'x');
		EXPECT(strstr(recorder_take(&g->r), "write ") != NULL);
		EXPECT(g->r.bytes[2 * PAGE + 1] == 'x');
	}
}

static void buffered_reads_are_not_kept(void)
{
	ON_GROUND(g)
	{
		g->r.buffered = true;
		map(g->f.mm, of_recorder(&g->r, 0, 4, false));
		EXPECT(get(g->f.mm, AT(2)) == 'C');
		g->r.bytes[2 * PAGE] = 'z';
		EXPECT(get(g->f.mm, AT(2)) == 'z');
	}
}

static void buffered_pages_are_copied_on_write(void)
{
	ON_GROUND(g)
	{
		g->r.buffered = true;
		map(g->f.mm, of_recorder(&g->r, 0, 4, true));
		put(g->f.mm, AT(2), 'x');
		EXPECT(get(g->f.mm, AT(2)) == 'x');
		EXPECT(get(g->f.mm, AT(2) + 1) == 'C');
		EXPECT(g->r.bytes[2 * PAGE] == 'C');
	}
}

static void bus_errors_are_told_apart(void)
{
	ON_GROUND(g)
	{
		g->r.pages = 1;
		map(g->f.mm, of_recorder(&g->r, 0, 2, false));
		EXPECT(msn_mm_handle_fault(g->f.mm, AT(1), MSN_ACCESS_READ) ==
		       MSN_MM_E_BUS);
		EXPECT(msn_mm_handle_fault(g->f.mm, AT(2), MSN_ACCESS_READ) ==
		       MSN_MM_E_MAPERR);
		EXPECT(get(g->f.mm, AT(1)) == -EFAULT);
	}
}

/* ---- Identities ---------------------------------------------------------- */

static void one_reference_a_mapping(void)
{
	ON_GROUND(g)
	{
		map(g->f.mm, of_recorder(&g->r, 0, 4, false));
		EXPECT(g->r.id_refs == 1);
		CHECK(msn_mm_mprotect(g->f.mm, AT(1), PAGE, PROT_READ) == 0);
		EXPECT(g->r.id_refs == 3);
		CHECK(msn_mm_mprotect(g->f.mm, AT(1), PAGE,
				      PROT_READ | PROT_WRITE) == 0);
		EXPECT(g->r.id_refs == 1);
	}
}

static void identities_keep_apart(void)
{
	struct recorder other;

	recorder_init(&other);
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = of_recorder(&g->r, 2, 2, false);

		map(g->f.mm, of_recorder(&g->r, 0, 2, false));
		o.offset = 2 * PAGE;
		o.mapping_identity = &other.id;
		map(g->f.mm, o);
		EXPECT(mapping_count(g->f.mm) == 2);
		o.mapping_identity = &g->r.id;
		map(g->f.mm, o);
		EXPECT(mapping_count(g->f.mm) == 1);
	}
	recorder_deinit(&other);
}

static void listings_show_the_identity(void)
{
	ON_GROUND(g)
	{
		map(g->f.mm, of_recorder(&g->r, 0, 2, false));
		EXPECT(listed(g->f.mm, "rw-s 00000000 08:01 42 "));
		EXPECT(listed(g->f.mm, "/recorder\n"));
	}
}

static void a_sync_asks_the_identity(void)
{
	ON_GROUND(g)
	{
		map(g->f.mm, of_recorder(&g->r, 0, 4, false));
		map(g->f.mm, of_recorder(&g->r, 4, 4, true));
		recorder_take(&g->r);
		CHECK(msn_mm_msync(g->f.mm, AT(1), 6 * PAGE, MS_SYNC) == 0);
		SAYS(g, "sync 1-4 ");
		CHECK(msn_mm_msync(g->f.mm, AT(1), 2 * PAGE, MS_ASYNC) == 0);
		SAYS(g, "");
	}
}

/* ---- The table ----------------------------------------------------------- */

static const struct check_test rules[] = {
	{ "a mappable is told of a mapping after the address is "
	  "chosen and before it is inserted",
	  told_before_inserted },
	{ "it is told after what was there has been unmapped",
	  told_after_unmapping },
	{ "its identity is referenced only after it agreed",
	  told_before_referenced },
	{ "an error of add_mapping is mmap's, word for word; what "
	  "was unmapped stays so",
	  add_error_is_the_result },
	{ "limits are looked at before it is told", limits_come_first },
	{ "writable means shared and ever to be written, not "
	  "writable now",
	  writable_is_shared_and_may_write },
	{ "mprotect tells it nothing, and what it was told stays "
	  "true",
	  protecting_tells_nothing },
	{ "offset and length that wrap never reach it", overflow_is_refused },
	{ "fork adds each mapping for the child, and copies none",
	  a_fork_adds_each },
	{ "an error of add_mapping is fork's, and nothing is left "
	  "of the child",
	  a_fork_fails_with_the_error },
	{ "remove_mapping comes after the placements are gone",
	  removed_after_the_placements },
	{ "pieces and unions of what was added are removed",
	  pieces_and_unions },
	{ "the end of a space removes what is left", the_end_removes },
	{ "a move copies the mapping before anything moves, and "
	  "then removes the old",
	  a_move_copies_then_removes },
	{ "a move of nothing duplicates: the source is empty",
	  a_move_of_nothing_duplicates },
	{ "an error of copy_mapping is mremap's, and the mapping "
	  "stays",
	  a_refused_move_changes_nothing },
	{ "growing in place adds the new part", growing_in_place_adds },
	{ "before a save every mapping's object is asked, as often "
	  "as it is mapped",
	  asked_once_a_mapping },
	{ "its first error ends the save", the_first_error_ends_it },
	{ "invalidate drops pages of the object always, and their "
	  "references",
	  shared_goes_always },
	{ "private copies go only with invalidate_private",
	  private_goes_when_told },
	{ "invalidate cuts placements at its range", a_part_is_dropped_alone },
	{ "a file that cannot be mapped here is read and written",
	  buffered_files_are_copied },
	{ "what was read that way is not kept", buffered_reads_are_not_kept },
	{ "its pages can be copied on write",
	  buffered_pages_are_copied_on_write },
	{ "no page is a bus error, no mapping is not; for a copy "
	  "both are EFAULT",
	  bus_errors_are_told_apart },
	{ "each mapping has a reference on its identity; cuts add, "
	  "merges drop",
	  one_reference_a_mapping },
	{ "mappings of different identities never merge",
	  identities_keep_apart },
	{ "listings show the identity's name, device and inode",
	  listings_show_the_identity },
	{ "msync asks the identity, for shared mappings and MS_SYNC "
	  "alone",
	  a_sync_asks_the_identity },
	{ 0 }
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, "memmap", rules);
}
