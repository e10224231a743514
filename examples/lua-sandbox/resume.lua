-- Goes on where a snapshot of build.lua stopped, in another process.
-- SPDX-License-Identifier: Apache-2.0

check()
check_index({ words[1], words[17], words[1000], words[3999] })
print("all documents are what they were")

-- The worker's locals, its place in its loop and its running digest were saved
-- with it; what it ends with must be what a worker that never slept ends with.
if coroutine.status(worker) == "suspended" then
	local from, ok, result = worker_at
	repeat
		ok, result = assert(coroutine.resume(worker))
	until coroutine.status(worker) == "dead"
	local fresh, expected = new_worker()
	repeat
		ok, expected = assert(coroutine.resume(fresh, worker_total))
	until coroutine.status(fresh) == "dead"
	assert(result == expected, "the worker's digest is wrong")
	print(string.format("worker went on at %d and ended with %016x", from,
		result))
end

local both, cached = query(words[3], words[5])
print(string.format("%d documents have both %q and %q%s", #both, words[3],
	words[5], cached and " (from the cache)" or ""))
for _, id in ipairs(both) do
	assert(has_word(id, words[3]) and has_word(id, words[5]))
end

-- Some change: new documents with new words in them.
local before = #documents
for i = 1, 200 do
	local n = before + i
	add_document({ "fresh", "document", tostring(n), words[n % #words + 1] })
end
assert(#index.fresh >= 200 and #query("fresh", "document") >= 200)
check(before + 1)
print(string.format("%d documents now", #documents))
