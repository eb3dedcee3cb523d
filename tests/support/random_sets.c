/* Random queries, stores and lists; see random_sets.h. */
#include "support/random_sets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool chance(test_random *random, int64_t of)
{
    return test_random_below(random, of) == 0;
}

/* Of so many rows, the queries. */
static int64_t some_queries(test_random *random, int64_t rows)
{
    const int64_t few = test_random_below(random, rows < 4 ? rows + 1 : 4);
    switch (test_random_below(random, 12)) {
    case 0:
        return 0;
    case 1:
        return rows;
    case 2:
    case 3:
    case 4:
        return few;
    case 5:
    case 6:
    case 7:
        return rows - few;
    default:
        return test_random_below(random, rows + 1);
    }
}

static void copy_row(const random_store *whole, int64_t from, int64_t to)
{
    const size_t bytes = (size_t)whole->dim * sizeof *whole->embeddings;
    if (from != to)
        memcpy(whole->embeddings + to * whole->dim, whole->embeddings + from * whole->dim, bytes);
}

/* Queries are in the store, too, and rows of the store are there again, both mostly with other labels. */
static void make_copies(test_random *random, const random_store *whole, int64_t queries)
{
    const int64_t rows = whole->rows - queries;
    const int64_t copies = chance(random, 2) || rows == 0 ? 0 : 1 + test_random_below(random, 1 + rows / 4);
    for (int64_t i = 0; i < copies; i++)
        copy_row(whole, test_random_below(random, whole->rows), queries + test_random_below(random, rows));
}

static void add_pair(random_sets *sets, int64_t *room, int64_t query, int64_t positive)
{
    if (sets->pairs == *room) {
        *room = 2 * *room + 64;
        sets->pair = realloc(sets->pair, (size_t)*room * sizeof *sets->pair);
        if (!sets->pair)
            abort();
    }
    sets->pair[sets->pairs++] = (family_pair){query, positive};
}

/* How many positives a query gets: mostly few, some none, some nearly all rows. */
static int64_t some_positives(test_random *random, int64_t rows, bool sparse)
{
    static const int64_t few[] = {0, 0, 1, 1, 1, 2, 3, 5};
    const int64_t kind = test_random_below(random, sparse ? 8 : 11);
    return kind < 8 ? few[kind] : kind == 8 ? rows : test_random_below(random, rows + 1);
}

/* A row of the query's class where one is hit on soon, as who makes lists has it. */
static int64_t some_positive(test_random *random, const random_sets *sets, int64_t query, bool by_class)
{
    int64_t row = test_random_below(random, sets->store.rows);
    for (int tries = 0; tries < 8 && by_class && sets->store.labels[row] != sets->queries.labels[query];
         tries++)
        row = test_random_below(random, sets->store.rows);
    return row;
}

static void make_list(test_random *random, random_sets *sets)
{
    const bool sparse = chance(random, 3), by_class = chance(random, 2), ordered = chance(random, 3);
    const int64_t rows = sets->store.rows;
    int64_t room = 0;
    if (chance(random, 15) || rows == 0)
        return;
    for (int64_t query = 0; query < sets->queries.rows; query++) {
        const int64_t count = some_positives(random, rows, sparse);
        for (int64_t i = 0; i < count; i++)
            add_pair(sets, &room, query, count == rows ? i : some_positive(random, sets, query, by_class));
    }
    for (int64_t repeats = chance(random, 2) ? sets->pairs / 5 : 0; repeats > 0; repeats--) {
        const family_pair again = sets->pair[test_random_below(random, sets->pairs)];
        add_pair(sets, &room, again.query, again.positive);
    }
    for (int64_t i = sets->pairs - 1; i > 0 && !ordered; i--) {
        const int64_t other = test_random_below(random, i + 1);
        const family_pair moved = sets->pair[i];
        sets->pair[i] = sets->pair[other];
        sets->pair[other] = moved;
    }
}

/* Rows [from, to) of the whole. */
static random_store part_of(const random_store *whole, int64_t from, int64_t to)
{
    random_store part = *whole;
    part.rows = to - from;
    part.embeddings = whole->embeddings + from * whole->dim;
    part.labels = whole->labels + from;
    return part;
}

void random_sets_create(uint64_t number, random_sets *sets)
{
    test_random random = {number * UINT64_C(0x9e3779b97f4a7c15) + 77};
    memset(sets, 0, sizeof *sets);
    random_store_create(number + 100000, &sets->whole);
    const int64_t queries = some_queries(&random, sets->whole.rows);
    make_copies(&random, &sets->whole, queries);
    random_family_create(number, &sets->whole, &sets->family);
    sets->family.options.lone = chance(&random, 3);
    sets->listed = !chance(&random, 3);
    sets->and_labels = sets->listed && chance(&random, 2);
    sets->labelled = !sets->listed || sets->and_labels || chance(&random, 2);
    if (sets->listed)
        sets->whole.ignore_count = 0;
    sets->queries = part_of(&sets->whole, 0, queries);
    sets->store = part_of(&sets->whole, queries, sets->whole.rows);
    if (sets->listed)
        make_list(&random, sets);
}

void random_sets_destroy(random_sets *sets)
{
    free(sets->pair);
    random_store_destroy(&sets->whole);
    memset(sets, 0, sizeof *sets);
}

family_sets random_sets_view(const random_sets *sets, reference_store *queries, reference_store *store)
{
    *queries = random_store_view(&sets->queries);
    *store = random_store_view(&sets->store);
    return (family_sets){.store = store,
                         .queries = queries,
                         .listed = sets->listed,
                         .and_labels = sets->and_labels,
                         .pair = sets->pair,
                         .pairs = sets->pairs};
}

void random_sets_describe(const random_sets *sets, char *text, size_t size)
{
    char options[512];
    random_family_describe(&sets->family, options, sizeof options);
    snprintf(text, size, "%lld queries, %lld rows x %d, %s, %s%lld pairs%s%s, %s",
             (long long)sets->queries.rows, (long long)sets->store.rows, sets->whole.dim, sets->whole.flavour,
             sets->listed ? "" : "by label, ", (long long)sets->pairs, sets->and_labels ? " and labels" : "",
             sets->labelled ? "" : ", no labels", options);
}
