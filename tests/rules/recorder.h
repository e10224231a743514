/*
 * An object that writes down how it is called: mappable, identity and file.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each call is a word in the log, pages counted from BASE and from the object's
 * start; behind it, after '+', what the space had at the addresses meanwhile:
 *
 *    add 0-4@2w            add_mapping, writable
 *    remove 0-4@2r+v       remove_mapping; a mapping is still there (v), and
 *                          placements would be p
 *    copy 0-4>8-12@2w      copy_mapping
 *    ask 1-2/0-4:1         translate: required, optional, access
 *    ref, unref            page references
 *    read, write           buffered, of the file
 *    sync 0-4              msync, of the identity
 *    save                  invalidate_unsavable
 */
#ifndef MSN_TESTS_RULES_RECORDER_H
#define MSN_TESTS_RULES_RECORDER_H

#include "mm/mm_calls.h"
#include "unit/mm/fixture.h"

#include <errno.h>

#define OBJECT_PAGES 16

struct recorder {
	struct msn_mappable obj;
	struct msn_identity id;
	struct msn_file file;
	struct msn_mm *mm; /* whose mappings the log tells of; or NULL */
	char log[4096];
	int id_refs;
	int64_t page_refs;
	char *bytes; /* page n is all 'A' + n */

	/* How it behaves; zeroed: it allows everything. */
	uint64_t pages; /* its size; made with OBJECT_PAGES */
	int add_error, copy_error, save_error, translate_error;
	bool generous;	 /* translates as much of what is optional as it has */
	bool read_first; /* gives no right to write before it is asked for */
	bool buffered;	 /* cannot be mapped into this process */
	bool broken;	 /* stops short and gives no reason */
};

void recorder_init(struct recorder *r);
void recorder_deinit(struct recorder *r);

/* Maps pages of it at a page, over what is there. */
struct msn_mmap_opts of_recorder(struct recorder *r, uint64_t page,
				 uint64_t pages, bool private);

/* What was logged since it was last asked for; valid until the next call. */
const char *recorder_take(struct recorder *r);

#endif /* MSN_TESTS_RULES_RECORDER_H */
