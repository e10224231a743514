/*
 * Symbols: walks through descriptors.  Numbers of fields are those of
 * google/protobuf/descriptor.proto.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "standard/symbols.h"

#include "base/assert.h"

enum {
	SET_FILE = 1,
	ANY_NAME = 1, /* of files, messages, enums, services, fields, ... */
	FILE_PACKAGE = 2,
	FILE_IMPORT = 3,
	FILE_MESSAGE = 4,
	FILE_ENUM = 5,
	FILE_SERVICE = 6,
	FILE_EXTENSION = 7,
	MESSAGE_FIELD = 2,
	MESSAGE_MESSAGE = 3,
	MESSAGE_ENUM = 4,
	MESSAGE_EXTENSION = 6,
	MESSAGE_ONEOF = 8,
	ENUM_VALUE = 2,
	SERVICE_METHOD = 2,
};

/* What can stand in a scope, and of which kind that is. */
enum kind { NO_SCOPE, FILE_SCOPE, MESSAGE_SCOPE, ENUM_SCOPE, SERVICE_SCOPE };

static enum kind kind_of(enum kind scope, uint32_t number)
{
	static const enum kind kinds[][MESSAGE_ONEOF + 1] = {
		[FILE_SCOPE] = { [FILE_MESSAGE] = MESSAGE_SCOPE,
				 [FILE_ENUM] = ENUM_SCOPE,
				 [FILE_SERVICE] = SERVICE_SCOPE },
		[MESSAGE_SCOPE] = { [MESSAGE_MESSAGE] = MESSAGE_SCOPE,
				    [MESSAGE_ENUM] = ENUM_SCOPE },
		[SERVICE_SCOPE] = { 0 },
	};

	return number <= MESSAGE_ONEOF ? kinds[scope][number] : NO_SCOPE;
}

/* Is a member of this number something that has a name in the scope? */
static bool is_named(enum kind scope, uint32_t number)
{
	switch (scope) {
	case FILE_SCOPE:
		return number >= FILE_MESSAGE && number <= FILE_EXTENSION;
	case MESSAGE_SCOPE:
		return (number >= MESSAGE_FIELD && number <= MESSAGE_ENUM) ||
		       number == MESSAGE_EXTENSION || number == MESSAGE_ONEOF;
	case SERVICE_SCOPE:
		return number == SERVICE_METHOD;
	default:
		return false;
	}
}

static bool find_member(const struct pb_field *message, uint32_t number,
			struct pb_field *out)
{
	struct pb pb = pb_of(message->data, message->len);

	while (pb_next(&pb, out))
		if (out->number == number && out->type == PB_BYTES)
			return true;
	return false;
}

/* Does the descriptor have this name of @len bytes? */
static bool has_name(const struct pb_field *d, const char *name, size_t len)
{
	struct pb_field f;

	return find_member(d, ANY_NAME, &f) && f.len == len &&
	       memcmp(f.data, name, len) == 0;
}

/* Values of an enum are named in the scope that the enum is in. */
static bool has_value(const struct pb_field *d, const char *name, size_t len)
{
	struct pb pb = pb_of(d->data, d->len);
	struct pb_field f;

	while (pb_next(&pb, &f))
		if (f.number == ENUM_VALUE && has_name(&f, name, len))
			return true;
	return false;
}

/* Steps from a scope to what is named in it; false: nothing is. */
static bool step(struct pb_field *at, enum kind *kind, const char *name,
		 size_t len)
{
	struct pb pb = pb_of(at->data, at->len);
	struct pb_field f;

	while (pb_next(&pb, &f)) {
		enum kind next = kind_of(*kind, f.number);

		if (f.type != PB_BYTES || !is_named(*kind, f.number))
			continue;
		if (!has_name(&f, name, len)) {
			if (next != ENUM_SCOPE || !has_value(&f, name, len))
				continue;
			next = NO_SCOPE;
		}
		*at = f;
		*kind = next;
		return true;
	}
	return false;
}

/* The symbol without the file's package; NULL: it is in another. */
static const char *skip_package(const char *symbol, const struct pb_field *file)
{
	struct pb_field f;

	if (!find_member(file, FILE_PACKAGE, &f))
		return symbol;
	if (strncmp(symbol, (const char *)f.data, f.len) != 0 ||
	    symbol[f.len] != '.')
		return NULL;
	return symbol + f.len + 1;
}

static bool has_symbol(const struct pb_field *file, const char *symbol)
{
	const char *name = skip_package(symbol, file);
	enum kind kind = FILE_SCOPE;
	struct pb_field at = *file;

	while (name) {
		const char *dot = strchrnul(name, '.');

		if (!step(&at, &kind, name, (size_t)(dot - name)))
			return false;
		if (!*dot)
			return true;
		if (kind == NO_SCOPE || kind == ENUM_SCOPE)
			return false;
		name = dot + 1;
	}
	return false;
}

bool symbols_find_file(const void *set, size_t len, const char *name,
		       struct pb_field *file)
{
	struct pb pb = pb_of(set, len);

	while (pb_next(&pb, file))
		if (file->number == SET_FILE &&
		    has_name(file, name, strlen(name)))
			return true;
	return false;
}

bool symbols_find(const void *set, size_t len, const char *symbol,
		  struct pb_field *file)
{
	struct pb pb = pb_of(set, len);

	while (pb_next(&pb, file))
		if (file->number == SET_FILE && has_symbol(file, symbol))
			return true;
	return false;
}

/* ---- imports ------------------------------------------------------------- */

/* Which files of the set @file imports. */
static uint64_t imports_of(const struct pb_field *all, size_t count,
			   const struct pb_field *file)
{
	struct pb pb = pb_of(file->data, file->len);
	uint64_t found = 0;
	struct pb_field f;

	while (pb_next(&pb, &f))
		for (size_t i = 0; f.number == FILE_IMPORT && i < count; i++)
			if (has_name(&all[i], (const char *)f.data, f.len))
				found |= UINT64_C(1) << i;
	return found;
}

size_t symbols_with_imports(const void *set, size_t len,
			    const struct pb_field *file,
			    struct symbols_seen *seen, struct pb_field *out)
{
	struct pb_field all[SYMBOLS_FILES_MAX];
	struct pb pb = pb_of(set, len);
	size_t count = 0, n = 0;
	uint64_t wanted = 0, asked = 0;

	while (pb_next(&pb, &all[count])) {
		if (all[count].data == file->data)
			wanted = asked = UINT64_C(1) << count;
		count++;
		msn_assert(count < SYMBOLS_FILES_MAX);
	}
	/* Files stand behind what they import: one walk back finds all. */
	for (size_t i = count; i-- > 0;)
		if (wanted & UINT64_C(1) << i)
			wanted |= imports_of(all, count, &all[i]);
	wanted = (wanted & ~seen->files) | asked;
	seen->files |= wanted;
	for (size_t i = 0; i < count; i++)
		if (wanted & UINT64_C(1) << i)
			out[n++] = all[i];
	return n;
}
