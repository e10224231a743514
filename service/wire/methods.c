/*
 * Methods: the lookup table, and what its rows are held to.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Rows are kept in the order of their paths, so a lookup is a binary search and
 * all rows of a service stand together.
 */
#include "wire/method.h"

#include "base/alloc.h"
#include "base/error.h"
#include "wire/descriptors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct msn_methods {
	const struct msn_method **rows;
	size_t count;
};

/* ---- lookup -------------------------------------------------------------- */

/* The order of a path, which may hold anything, and a row's. */
static int compare(const char *path, size_t len, const char *row)
{
	size_t row_len = strlen(row);
	int c = memcmp(path, row, len < row_len ? len : row_len);

	return c ? c : (len > row_len) - (len < row_len);
}

/* The first row that is not before @path. */
static size_t lower_bound(const struct msn_methods *m, const char *path,
			  size_t len)
{
	size_t low = 0, high = m->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare(path, len, m->rows[mid]->path) > 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const char *msn_method_service(const struct msn_method *m, size_t *len)
{
	*len = (size_t)(strrchr(m->path, '/') - m->path) - 1;
	return m->path + 1;
}

/* Does the row at @i belong to the service of @path? */
static bool same_service(const struct msn_methods *m, size_t i,
			 const char *path, size_t len)
{
	const char *name;
	size_t n;

	if (i >= m->count)
		return false;
	name = msn_method_service(m->rows[i], &n);
	return len >= n + 2 && path[0] == '/' && path[n + 1] == '/' &&
	       memcmp(path + 1, name, n) == 0;
}

const struct msn_method *msn_methods_find(const struct msn_methods *m,
					  const char *path, size_t len,
					  bool *service)
{
	size_t i = lower_bound(m, path, len);

	if (i < m->count && compare(path, len, m->rows[i]->path) == 0) {
		*service = true;
		return m->rows[i];
	}
	*service = same_service(m, i, path, len) ||
		   (i > 0 && same_service(m, i - 1, path, len));
	return NULL;
}

const struct msn_method *const *msn_methods_all(const struct msn_methods *m,
						size_t *count)
{
	*count = m->count;
	return m->rows;
}

/* ---- checks -------------------------------------------------------------- */

/* Deeper messages than any of ours; one that contains itself is deeper. */
#define DEPTH_MAX 16

static bool nests_too_deep(const ProtobufCMessageDescriptor *type, unsigned up)
{
	if (up == DEPTH_MAX)
		return true;
	for (unsigned i = 0; i < type->n_fields; i++)
		if (type->fields[i].type == PROTOBUF_C_TYPE_MESSAGE &&
		    nests_too_deep(type->fields[i].descriptor, up + 1))
			return true;
	return false;
}

static int bad_row(struct msn_failure *why, const struct msn_method *row,
		   const char *what)
{
	return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID, "%s %s",
			       row->path, what);
}

static int check_streams(const struct msn_method *row,
			 const struct descriptors_method *said,
			 struct msn_failure *why)
{
	bool in = row->flags & MSN_METHOD_CLIENT_STREAM;
	bool out = row->flags & MSN_METHOD_SERVER_STREAM;

	if (in != said->client_streaming)
		return bad_row(why, row,
			       in ? "takes no stream, says its descriptor"
				  : "takes a stream, says its descriptor");
	if (out != said->server_streaming)
		return bad_row(why, row,
			       out ? "sends no stream, says its descriptor"
				   : "sends a stream, says its descriptor");
	/* msn_call_receive() waits. */
	if (in && !(row->flags & MSN_METHOD_BLOCKS))
		return bad_row(
			why, row,
			"takes a stream and does not say that it blocks");
	return 0;
}

static int check_row(const struct msn_method *row, const void *descriptors,
		     size_t len, struct msn_failure *why)
{
	struct descriptors_method said;

	if (!row->request || !row->response || !row->run)
		return bad_row(why, row, "lacks a message or its handler");
	if (!descriptors_find_method(descriptors, len, row->path, &said))
		return bad_row(why, row, "has no descriptor");
	if (!descriptors_is_type(&said.input, row->request->name) ||
	    !descriptors_is_type(&said.output, row->response->name))
		return bad_row(why, row,
			       "has other messages, says its descriptor");
	if (nests_too_deep(row->request, 0) || nests_too_deep(row->response, 0))
		return bad_row(why, row, "has a message that contains itself");
	return check_streams(row, &said, why);
}

/* ---- making the table ---------------------------------------------------- */

static int by_path(const void *a, const void *b)
{
	const struct msn_method *const *x = a, *const *y = b;

	return strcmp((*x)->path, (*y)->path);
}

static size_t count_rows(const struct msn_method *const *tables)
{
	size_t count = 0;

	for (; *tables; tables++)
		for (const struct msn_method *row = *tables; row->path; row++)
			count++;
	return count;
}

static int check_all(const struct msn_methods *m, const void *descriptors,
		     size_t len, struct msn_failure *why)
{
	for (size_t i = 0; i < m->count; i++) {
		int rc = check_row(m->rows[i], descriptors, len, why);

		if (!rc && i > 0 && by_path(&m->rows[i - 1], &m->rows[i]) == 0)
			rc = bad_row(why, m->rows[i], "is there twice");
		if (rc)
			return msn_pass(rc);
	}
	return 0;
}

int msn_methods_new(struct msn_methods **out,
		    const struct msn_method *const *tables,
		    const void *descriptors, size_t len,
		    struct msn_failure *why)
{
	msn_auto(msn_methods_freep) struct msn_methods *m = NULL;
	int rc;

	m = msn_alloc(sizeof(*m));
	if (m)
		m->rows = msn_alloc_array(count_rows(tables),
					  sizeof(struct msn_method *));
	if (!m || !m->rows)
		return msn_failure_errno(why, -ENOMEM, "methods");
	for (; *tables; tables++)
		for (const struct msn_method *row = *tables; row->path; row++)
			m->rows[m->count++] = row;
	qsort(m->rows, m->count, sizeof(struct msn_method *), by_path);
	rc = check_all(m, descriptors, len, why);
	if (rc)
		return msn_pass(rc);
	*out = msn_steal(m);
	return 0;
}

struct msn_methods *msn_methods_free(struct msn_methods *m)
{
	if (m) {
		free(m->rows);
		free(m);
	}
	return NULL;
}
