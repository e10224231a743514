/*
 * One of each kind of file and mappable, for the contract suites.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every file made here holds 16 pages; page i is filled with the byte 'A' + i,
 * except where the kind says so.
 */
#ifndef MSN_TESTS_CONTRACT_MAKERS_H
#define MSN_TESTS_CONTRACT_MAKERS_H

#include "mapping/file.h"
#include "mapping/identity.h"
#include "mapping/mappable.h"

#include <stdbool.h>

#define MADE_PAGES 16

struct made_file {
	struct msn_file *file;
	struct msn_file_range pages; /* where the 16 pages are */
	void *owner;
	void (*free)(struct made_file *m);
};

struct file_maker {
	const char *name;
	void (*make)(struct made_file *out);
	bool writable; /* writes are allowed */
	bool mapped;   /* map_internal() succeeds */
	bool fd;       /* has a descriptor to map */
	bool counts;   /* tells how many references a page has */
};

extern const struct file_maker file_makers[];
extern const size_t file_maker_count;

struct made_mappable {
	struct msn_mappable *obj;
	struct msn_identity *id; /* one reference */
	void *owner;
	void (*free)(struct made_mappable *m);
};

struct mappable_maker {
	const char *name;
	void (*make)(struct made_mappable *out);
	enum msn_saved_as saved_as;
	bool writable; /* its pages may be written through a mapping */
};

extern const struct mappable_maker mappable_makers[];
extern const size_t mappable_maker_count;

#endif /* MSN_TESTS_CONTRACT_MAKERS_H */
