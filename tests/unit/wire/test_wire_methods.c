/*
 * The table of methods: lookup, and what rows are held to.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "service.h"

#include "support/check.h"
#include "wire/descriptors.h"
#include "wire_test.pb-c.h"

#include <errno.h>
#include <string.h>

/* ---- lookup -------------------------------------------------------------- */

static const struct msn_method *find(const struct msn_methods *m,
				     const char *path, bool *service)
{
	char padded[128];

	/* The path has no end of its own. */
	snprintf(padded, sizeof(padded), "%s###", path);
	*service = !*path;
	return msn_methods_find(m, padded, strlen(path), service);
}

static void a_path_finds_its_row(void)
{
	struct msn_methods *m = service_methods();
	const struct msn_method *row;
	bool service;

	for (row = service_tables[0]; row->path; row++) {
		EXPECT(find(m, row->path, &service) == row);
		EXPECT(service);
	}
	msn_methods_free(m);
}

static void what_is_not_there_is_told_from_its_service(void)
{
	static const char *const none[] = { "",
					    "/",
					    "/memsnap.test",
					    "/memsnap.test.Wire",
					    "/memsnap.test.Wir/Echo",
					    "/memsnap.test.Wirf/Echo",
					    "//Echo",
					    "memsnap.test.Wire/Echo",
					    "/zzz/Echo" };
	static const char *const some[] = { "/memsnap.test.Wire/",
					    "/memsnap.test.Wire/A",
					    "/memsnap.test.Wire/Ech",
					    "/memsnap.test.Wire/Echoo",
					    "/memsnap.test.Wire/zzz" };
	struct msn_methods *m = service_methods();
	bool service;

	for (size_t i = 0; i < MSN_ARRAY_LEN(none); i++)
		EXPECT(!find(m, none[i], &service) && !service);
	for (size_t i = 0; i < MSN_ARRAY_LEN(some); i++)
		EXPECT(!find(m, some[i], &service) && service);
	msn_methods_free(m);
}

static void rows_are_listed_in_the_order_of_their_paths(void)
{
	struct msn_methods *m = service_methods();
	const struct msn_method *const *all;
	size_t count, len;

	all = msn_methods_all(m, &count);
	CHECK(count > 10);
	for (size_t i = 1; i < count; i++)
		EXPECT(strcmp(all[i - 1]->path, all[i]->path) < 0);
	EXPECT(strncmp(msn_method_service(all[0], &len), "memsnap.test.Wire",
		       len) == 0);
	EXPECT(len == strlen("memsnap.test.Wire"));
	msn_methods_free(m);
}

/* ---- rows that promise what the .proto does not -------------------------- */

static int run(struct msn_call *call, const ProtobufCMessage *request)
{
	(void)call;
	(void)request;
	return 0;
}

static const struct msn_method good = {
	.path = "/memsnap.test.Wire/Echo",
	.request = &memsnap__test__echo_request__descriptor,
	.response = &memsnap__test__echo_response__descriptor,
	.run = run,
};

/* The failure's text when @row is offered; "" if it is taken. */
static const char *offer(const struct msn_method *row, unsigned times)
{
	static struct msn_failure why;
	struct msn_method table[3] = { *row };
	const struct msn_method *const tables[] = { table, NULL };
	struct msn_methods *m = NULL;
	size_t len;
	void *set = service_descriptors(&len);
	int rc;

	if (times > 1)
		table[1] = *row;
	why = (struct msn_failure){ 0 };
	rc = msn_methods_new(&m, tables, set, len, &why);
	free(set);
	EXPECT(rc ? rc == -EINVAL && !m : m != NULL);
	EXPECT(!rc || why.kind == MSN_FAILURE_INVALID);
	EXPECT(!rc || strstr(why.text, row->path));
	msn_methods_free(m);
	return why.text;
}

static void a_row_is_held_to_its_descriptor(void)
{
	struct msn_method row = good;

	EXPECT(strcmp(offer(&row, 1), "") == 0);
	EXPECT(strstr(offer(&row, 2), "is there twice"));

	row.path = "/memsnap.test.Wire/Ech";
	EXPECT(strstr(offer(&row, 1), "has no descriptor"));
	row.path = "/memsnap.test.Wires/Echo";
	EXPECT(strstr(offer(&row, 1), "has no descriptor"));
	row.path = "/memsnap.Wire/Echo";
	EXPECT(strstr(offer(&row, 1), "has no descriptor"));

	row = good;
	row.request = &memsnap__test__inner__descriptor;
	EXPECT(strstr(offer(&row, 1), "other messages"));
	row = good;
	row.response = &memsnap__test__inner__descriptor;
	EXPECT(strstr(offer(&row, 1), "other messages"));
	row = good;
	row.run = NULL;
	EXPECT(strstr(offer(&row, 1), "lacks"));
}

static void a_row_streams_as_its_descriptor_says(void)
{
	struct msn_method row = good;

	row.flags = MSN_METHOD_CLIENT_STREAM | MSN_METHOD_BLOCKS;
	EXPECT(strstr(offer(&row, 1), "takes no stream"));
	row.flags = MSN_METHOD_SERVER_STREAM;
	EXPECT(strstr(offer(&row, 1), "sends no stream"));

	row.path = "/memsnap.test.Wire/Chat";
	row.flags = MSN_METHOD_SERVER_STREAM;
	EXPECT(strstr(offer(&row, 1), "takes a stream"));
	row.flags = MSN_METHOD_CLIENT_STREAM | MSN_METHOD_BLOCKS;
	EXPECT(strstr(offer(&row, 1), "sends a stream"));
	row.flags |= MSN_METHOD_SERVER_STREAM;
	EXPECT(strcmp(offer(&row, 1), "") == 0);
	row.flags &= ~(unsigned)MSN_METHOD_BLOCKS;
	EXPECT(strstr(offer(&row, 1), "does not say that it blocks"));
}

static void a_message_that_contains_itself_is_refused(void)
{
	static ProtobufCFieldDescriptor field;
	static ProtobufCMessageDescriptor loop;
	struct msn_method row = good;

	field = (ProtobufCFieldDescriptor){ .name = "again",
					    .id = 1,
					    .type = PROTOBUF_C_TYPE_MESSAGE,
					    .descriptor = &loop };
	loop = memsnap__test__echo_request__descriptor;
	loop.n_fields = 1;
	loop.fields = &field;
	row.request = &loop;
	EXPECT(strstr(offer(&row, 1), "contains itself"));
	row = good;
	loop = memsnap__test__echo_response__descriptor;
	loop.n_fields = 1;
	loop.fields = &field;
	row.response = &loop;
	EXPECT(strstr(offer(&row, 1), "contains itself"));
}

/* A set that was cut short is no reason to read past its end. */
static void a_damaged_set_has_no_methods_and_does_no_harm(void)
{
	size_t len;
	uint8_t *set = service_descriptors(&len);
	struct descriptors_method found;

	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *part = malloc(cut ? cut : 1);

		CHECK(part);
		memcpy(part, set, cut);
		descriptors_find_method(part, cut, "/memsnap.test.Wire/Chat",
					&found);
		free(part);
	}
	EXPECT(descriptors_find_method(set, len, "/memsnap.test.Wire/Chat",
				       &found));
	EXPECT(found.client_streaming && found.server_streaming);
	free(set);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_path_finds_its_row),
		CHECK_TEST(what_is_not_there_is_told_from_its_service),
		CHECK_TEST(rows_are_listed_in_the_order_of_their_paths),
		CHECK_TEST(a_row_is_held_to_its_descriptor),
		CHECK_TEST(a_row_streams_as_its_descriptor_says),
		CHECK_TEST(a_message_that_contains_itself_is_refused),
		CHECK_TEST(a_damaged_set_has_no_methods_and_does_no_harm),
		{}
	};

	return check_main(argc, argv, "wire: methods", tests);
}
