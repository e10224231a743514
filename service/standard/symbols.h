/*
 * Symbols: which file of a set has a name.  Private to this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reads a serialised google.protobuf.FileDescriptorSet that the build made: it
 * is trusted to be whole.
 *
 * Locks: none.
 */
#ifndef MSN_STANDARD_SYMBOLS_H
#define MSN_STANDARD_SYMBOLS_H

#include "wire/pbread.h"

/* Files of one set: twice what there are. */
#define SYMBOLS_FILES_MAX 64

/* Files that somebody has: bit n for the n-th of the set. */
struct symbols_seen {
	uint64_t files;
};

/* The file of this name; false: there is none. */
bool symbols_find_file(const void *set, size_t len, const char *name,
		       struct pb_field *file);

/*
 * The file that has a message, enum, service, extension, field, method or value
 * of this full name; false: there is none.
 */
bool symbols_find(const void *set, size_t len, const char *symbol,
		  struct pb_field *file);

/*
 * Writes @file, and what it imports, and so on, to @out (of SYMBOLS_FILES_MAX),
 * each before those that import it, but for those @seen, which are now.  @file
 * itself is there in any case.  Returns how many.
 */
size_t symbols_with_imports(const void *set, size_t len,
			    const struct pb_field *file,
			    struct symbols_seen *seen, struct pb_field *out);

#endif /* MSN_STANDARD_SYMBOLS_H */
