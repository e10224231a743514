/*
 * Symbols: files by name, by what is in them, and with what they import; in the
 * set that the program serves.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "standard/symbols.h"

#include "descriptors/descriptors.h"
#include "support/check.h"

static const void *set(size_t *len)
{
	return msn_descriptors(len);
}

/* Is @file, a FileDescriptorProto, called this? */
static bool is_called(const struct pb_field *file, const char *name)
{
	struct pb pb = pb_of(file->data, file->len);
	struct pb_field f;

	return pb_next(&pb, &f) && f.number == 1 && pb_is_text(&f, name);
}

static bool is_in(const char *symbol, const char *name)
{
	struct pb_field file;
	size_t len;
	const void *all = set(&len);

	return symbols_find(all, len, symbol, &file) && is_called(&file, name);
}

static bool is_nowhere(const char *symbol)
{
	struct pb_field file;
	size_t len;
	const void *all = set(&len);

	return !symbols_find(all, len, symbol, &file);
}

static void every_kind_of_symbol_is_found(void)
{
	EXPECT(is_in("memsnap.v1.SpaceService", "memsnap/v1/space.proto"));
	EXPECT(is_in("memsnap.v1.SpaceService.Map", "memsnap/v1/space.proto"));
	EXPECT(is_in("memsnap.v1.Space", "memsnap/v1/space.proto"));
	EXPECT(is_in("memsnap.v1.Space.etag", "memsnap/v1/space.proto"));
	EXPECT(is_in("memsnap.v1.FdRef.source", "memsnap/v1/types.proto"));
	EXPECT(is_in("memsnap.v1.LockMode", "memsnap/v1/space.proto"));
	EXPECT(is_in("memsnap.v1.LOCK_MODE_EAGER", "memsnap/v1/space.proto"));
	EXPECT(is_in("memsnap.v1.LockRequest.Action",
		     "memsnap/v1/space.proto"));
	EXPECT(is_in("memsnap.v1.LockRequest.ACTION_UNLOCK",
		     "memsnap/v1/space.proto"));
	EXPECT(is_in("grpc.health.v1.Health.Watch",
		     "grpc/health/v1/health.proto"));
	EXPECT(is_in("grpc.reflection.v1alpha.ServerReflection",
		     "grpc/reflection/v1alpha/reflection.proto"));
	EXPECT(is_in("google.rpc.BadRequest.FieldViolation.field",
		     "google/rpc/error_details.proto"));
}

static void what_is_not_there_is_not_found(void)
{
	static const char *const some[] = {
		"",
		".",
		"memsnap",
		"memsnap.v1",
		"memsnap.v1.",
		"memsnap.v1.Spac",
		"memsnap.v1.Space.",
		"memsnap.v1.Space.etag.x",
		".memsnap.v1.Space",
		"memsnap.v1.SpaceService.Map.x",
		"memsnap.v1.LockMode.LOCK_MODE_EAGER",
		"memsnap.v1.LockRequest.Action.ACTION_UNLOCK",
		"memsnap.v1.SpaceService.LOCK_MODE_EAGER",
		"memsnap.v2.Space",
		"Space",
	};

	for (size_t i = 0; i < sizeof(some) / sizeof(*some); i++)
		EXPECT(is_nowhere(some[i]));
}

static void a_file_is_found_by_its_whole_name(void)
{
	struct pb_field file;
	size_t len;
	const void *all = set(&len);

	CHECK(symbols_find_file(all, len, "memsnap/v1/space.proto", &file));
	EXPECT(is_called(&file, "memsnap/v1/space.proto"));
	EXPECT(!symbols_find_file(all, len, "space.proto", &file));
	EXPECT(!symbols_find_file(all, len, "", &file));
}

static size_t with_imports(const char *name, struct symbols_seen *seen,
			   struct pb_field *out)
{
	struct pb_field file;
	size_t len;
	const void *all = set(&len);

	CHECK(symbols_find_file(all, len, name, &file));
	return symbols_with_imports(all, len, &file, seen, out);
}

/*
 *    snapshot -> operation -> types, timestamp, duration
 *             -> types, timestamp, duration
 */
static void imports_come_first_and_once(void)
{
	struct pb_field out[SYMBOLS_FILES_MAX];
	struct symbols_seen seen = { 0 };
	size_t n = with_imports("memsnap/v1/snapshot.proto", &seen, out);

	CHECK(n == 5);
	EXPECT(is_called(&out[4], "memsnap/v1/snapshot.proto"));
	EXPECT(is_called(&out[3], "memsnap/v1/operation.proto"));
	for (size_t a = 0; a < n; a++)
		for (size_t b = 0; b < a; b++)
			EXPECT(out[a].data != out[b].data);
}

static void what_was_seen_is_not_given_again(void)
{
	struct pb_field out[SYMBOLS_FILES_MAX];
	struct symbols_seen seen = { 0 };

	CHECK(with_imports("memsnap/v1/types.proto", &seen, out) == 1);
	CHECK(with_imports("memsnap/v1/space.proto", &seen, out) == 2);
	EXPECT(is_called(&out[0], "google/protobuf/timestamp.proto"));
	EXPECT(is_called(&out[1], "memsnap/v1/space.proto"));
	/* But what is asked for is. */
	CHECK(with_imports("memsnap/v1/space.proto", &seen, out) == 1);
	EXPECT(is_called(&out[0], "memsnap/v1/space.proto"));
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(every_kind_of_symbol_is_found),
		CHECK_TEST(what_is_not_there_is_not_found),
		CHECK_TEST(a_file_is_found_by_its_whole_name),
		CHECK_TEST(imports_come_first_and_once),
		CHECK_TEST(what_was_seen_is_not_given_again),
		{}
	};

	return check_main(argc, argv, "symbols", tests);
}
