/* Connected groups; see groups.h.
 *
 * A rank's pairs are a forest (union-find): each row that it joined points to another of lower id, in the end to its root, the
 * lowest of those it is joined with there. What is left to do is small: an edge from each row of a forest to its root.
 *
 * Each row has a parent, at the rank that the row id names (modulo the ranks), which at first is the row itself: a root. The
 * ends of all edges are roots. A round does three things:
 *   1. hook: of each edge (v, u), u < v, the root v gets the lowest such u of all ranks as its parent;
 *   2. jump: each row that was hooked takes its parent's parent until that is a root;
 *   3. move: each edge goes on to the roots of its ends. What has become one root is dropped, the rest made a forest again.
 * Rounds are done while any rank has an edge.
 *
 * It ends: of an edge, v is hooked, so each round with an edge takes at least one root away, and parents are of lower id, so
 * there is no circle to jump in. It is exact: a row is only ever hooked along a path of pairs, so that no two groups become
 * one; while two roots are in one group there is an edge somewhere on a path between them, so when none is left each group
 * has one root; and the lowest row of a group has nothing to be hooked to, so that it is this root. Rows hooked in an early
 * round point to a root of that time, and follow it in the end. */
#include "par/groups.h"

#include "base/alloc.h"
#include "base/distinct.h"
#include "par/agree.h"
#include "par/exchange.h"

#include <string.h>

/* v > u. */
typedef struct edge {
    int64_t v, u;
} edge;

struct trm_groups {
    MPI_Comm comm;
    int rank, ranks;
    int64_t rows;
    trm_distinct joined;   /* rows of this rank's forest */
    int64_t *up, room;     /* of each, the place of the one it points to; a root's is its own */
    int64_t *parent, own;  /* of the rows that live here: row i x ranks + rank is number i */
    int64_t *moving, many; /* of these, the ones that are jumping */
    int64_t *counts;       /* scratch, three a rank */
};

/* ---- this rank's forest ---- */

/* The root's place; halves the way to it. */
static int64_t root_of(trm_groups *g, int64_t place)
{
    while (g->up[place] != place) {
        g->up[place] = g->up[g->up[place]];
        place = g->up[place];
    }
    return place;
}

/* The place of a row, which may be new; -1: out of memory. */
static int64_t place_of(trm_groups *g, int64_t id)
{
    const int64_t known = trm_distinct_find(&g->joined, id), place = g->joined.count;
    if (known >= 0)
        return known;
    if (place == g->room) {
        const int64_t room = g->room > 0 ? 2 * g->room : 64;
        int64_t *up = trm_grown(g->up, place, room, sizeof *up);
        if (up == NULL)
            return -1;
        g->up = up;
        g->room = room;
    }
    if (!trm_distinct_add(&g->joined, id))
        return -1;
    g->up[place] = place;
    return place;
}

trm_status trm_groups_join(trm_groups *g, int64_t a, int64_t b, trm_error *err)
{
    const int64_t first = place_of(g, a), second = first >= 0 ? place_of(g, b) : -1;
    if (second < 0)
        return trm_fail_memory(err, "groups", g->joined.count + 1, 4 * sizeof *g->up);
    const int64_t x = root_of(g, first), y = root_of(g, second);
    if (g->joined.id[x] < g->joined.id[y])
        g->up[y] = x;
    else
        g->up[x] = y;
    return TRM_OK;
}

/* An edge to its root from each row that is none: new memory, or NULL. */
static edge *edges_of(trm_groups *g, int64_t *count)
{
    edge *edges = trm_alloc(g->joined.count, sizeof *edges);
    *count = 0;
    for (int64_t place = 0; place < g->joined.count && edges != NULL; place++) {
        const int64_t root = root_of(g, place);
        if (root != place)
            edges[(*count)++] = (edge){g->joined.id[place], g->joined.id[root]};
    }
    return edges;
}

/* ---- at home ---- */

static int64_t number_of(const trm_groups *g, int64_t id)
{
    return id / g->ranks;
}

/* Parents of so many rows, from where these live, into parent. Collective. */
static trm_status ask(trm_groups *g, int64_t count, const int64_t *id, int64_t *parent, trm_error *err)
{
    int64_t *const sent = g->counts, *const got = g->counts + g->ranks, *const at = g->counts + 2 * g->ranks;
    void *wishes = NULL, *answers = NULL;
    int64_t wished = 0;
    trm_status status = trm_exchange_by_key(g->comm, id, count, sizeof *id, sent, got, &wishes, err);
    if (status != TRM_OK)
        return status;
    for (int r = 0; r < g->ranks; r++)
        wished += got[r];
    int64_t *wish = wishes;
    for (int64_t k = 0; k < wished; k++)
        wish[k] = g->parent[number_of(g, wish[k])];
    for (int r = 0; r < g->ranks; r++)
        at[r] = r == 0 ? 0 : at[r - 1] + sent[r - 1];
    status = trm_exchange_items(g->comm, wish, got, sizeof *wish, &answers, sent, err);
    const int64_t *answer = answers; /* by rank, of each in the order in which they were asked */
    for (int64_t k = 0; k < count && status == TRM_OK; k++)
        parent[k] = answer[at[trm_home_of(g->ranks, id[k])]++];
    trm_free(wishes);
    trm_free(answers);
    return status;
}

/* Each row that moves takes its parent's parent; those whose parent is a root are done. Collective. */
static trm_status jump(trm_groups *g, trm_error *err)
{
    int64_t *id = trm_alloc(g->many, sizeof *id), *next = trm_alloc(g->many, sizeof *next);
    trm_status status =
        id == NULL || next == NULL ? trm_fail_memory(err, "groups", g->many, 2 * sizeof *id) : TRM_OK;
    status = trm_agree(g->comm, status, err);
    while (status == TRM_OK && trm_sum_int64(g->comm, g->many) > 0) {
        int64_t left = 0;
        for (int64_t k = 0; k < g->many; k++)
            id[k] = g->parent[g->moving[k]];
        status = ask(g, g->many, id, next, err);
        for (int64_t k = 0; k < g->many && status == TRM_OK; k++) {
            g->parent[g->moving[k]] = next[k];
            if (next[k] != id[k])
                g->moving[left++] = g->moving[k];
        }
        g->many = left;
    }
    trm_free(id);
    trm_free(next);
    return status;
}

/* Hooks the higher root of each edge to the lowest that any rank has for it. Collective. */
static trm_status hook(trm_groups *g, int64_t count, const edge *edges, trm_error *err)
{
    int64_t *const sent = g->counts, *const got = g->counts + g->ranks;
    void *received = NULL;
    int64_t all = 0;
    trm_status status = trm_exchange_by_key(g->comm, edges, count, sizeof *edges, sent, got, &received, err);
    if (status != TRM_OK)
        return status;
    for (int r = 0; r < g->ranks; r++)
        all += got[r];
    const edge *came = received;
    g->many = 0;
    for (int64_t k = 0; k < all; k++) {
        const int64_t number = number_of(g, came[k].v);
        if (g->parent[number] == came[k].v) /* the first */
            g->moving[g->many++] = number;
        if (came[k].u < g->parent[number])
            g->parent[number] = came[k].u;
    }
    trm_free(received);
    return jump(g, err);
}

/* Makes the forest anew, of the roots that the edges' ends have now. Collective. */
static trm_status move(trm_groups *g, int64_t count, const edge *edges, trm_error *err)
{
    int64_t *id = trm_alloc(2 * count, sizeof *id), *root = trm_alloc(2 * count, sizeof *root);
    trm_status status =
        id == NULL || root == NULL ? trm_fail_memory(err, "groups", count, 4 * sizeof *id) : TRM_OK;
    status = trm_agree(g->comm, status, err);
    for (int64_t k = 0; k < count && status == TRM_OK; k++) {
        id[2 * k] = edges[k].v;
        id[2 * k + 1] = edges[k].u;
    }
    trm_distinct_free(&g->joined);
    if (status == TRM_OK)
        status = ask(g, 2 * count, id, root, err);
    trm_status own = TRM_OK;
    for (int64_t k = 0; k < count && status == TRM_OK && own == TRM_OK; k++)
        if (root[2 * k] != root[2 * k + 1])
            own = trm_groups_join(g, root[2 * k], root[2 * k + 1], err);
    trm_free(id);
    trm_free(root);
    return status == TRM_OK ? trm_agree(g->comm, own, err) : status;
}

/* One round, if any rank has an edge. Collective. */
static trm_status round_of_all(trm_groups *g, bool *more, trm_error *err)
{
    int64_t count;
    edge *edges = edges_of(g, &count);
    trm_status status =
        edges == NULL ? trm_fail_memory(err, "groups", g->joined.count, sizeof *edges) : TRM_OK;
    status = trm_agree(g->comm, status, err);
    *more = status == TRM_OK && trm_sum_int64(g->comm, count) > 0;
    if (*more) {
        status = hook(g, count, edges, err);
        if (status == TRM_OK)
            status = move(g, count, edges, err);
    }
    trm_free(edges);
    return status;
}

/* ---- the whole ---- */

trm_status trm_groups_create(MPI_Comm comm, int64_t rows, trm_groups **result, trm_error *err)
{
    trm_groups *g = *result = trm_alloc_zero(1, sizeof *g);
    trm_status status = g == NULL ? trm_fail_memory(err, "groups", 1, sizeof *g) : TRM_OK;
    status = trm_agree(comm, status, err);
    if (status != TRM_OK) {
        trm_free(g);
        *result = NULL;
        return status;
    }
    g->comm = comm;
    g->rows = rows;
    MPI_Comm_rank(comm, &g->rank);
    MPI_Comm_size(comm, &g->ranks);
    return TRM_OK;
}

static trm_status make_home(trm_groups *g, trm_error *err)
{
    g->own = g->rows > g->rank ? (g->rows - g->rank - 1) / g->ranks + 1 : 0;
    g->parent = trm_alloc(g->own, sizeof *g->parent);
    g->moving = trm_alloc(g->own, sizeof *g->moving);
    g->counts = trm_alloc_zero(3 * (int64_t)g->ranks, sizeof *g->counts);
    if (g->parent == NULL || g->moving == NULL || g->counts == NULL)
        return trm_fail_memory(err, "groups", g->own, 2 * sizeof *g->parent);
    for (int64_t i = 0; i < g->own; i++)
        g->parent[i] = i * g->ranks + g->rank;
    return TRM_OK;
}

/* Rows of an early round follow the roots of that time. Collective. */
static trm_status follow(trm_groups *g, trm_error *err)
{
    g->many = 0;
    for (int64_t i = 0; i < g->own; i++)
        if (g->parent[i] != i * g->ranks + g->rank)
            g->moving[g->many++] = i;
    return jump(g, err);
}

/* From where rows live to who has a share of their ids: ascending, they are in the order of these ranks. Collective. */
static trm_status hand_out(const trm_groups *g, int64_t *group, trm_error *err)
{
    int64_t *const sent = g->counts, *const got = g->counts + g->ranks;
    edge *items = trm_alloc(g->own, sizeof *items);
    void *received = NULL;
    int64_t first, last, all = 0;
    trm_status status = items == NULL ? trm_fail_memory(err, "groups", g->own, sizeof *items) : TRM_OK;
    status = trm_agree(g->comm, status, err);
    memset(sent, 0, (size_t)g->ranks * sizeof *sent);
    for (int64_t i = 0, r = 0; i < g->own && status == TRM_OK; i++) {
        const int64_t id = i * g->ranks + g->rank;
        for (trm_share(g->rows, (int)r, g->ranks, &first, &last); id >= last;)
            trm_share(g->rows, (int)++r, g->ranks, &first, &last);
        items[i] = (edge){id, g->parent[i]};
        sent[r]++;
    }
    if (status == TRM_OK)
        status = trm_exchange_items(g->comm, items, sent, sizeof *items, &received, got, err);
    trm_free(items);
    if (status != TRM_OK)
        return status;
    trm_share(g->rows, g->rank, g->ranks, &first, &last);
    for (int r = 0; r < g->ranks; r++)
        all += got[r];
    const edge *came = received;
    for (int64_t k = 0; k < all; k++)
        group[came[k].v - first] = came[k].u;
    trm_free(received);
    return TRM_OK;
}

trm_status trm_groups_settle(trm_groups *g, int64_t *group, int *rounds, trm_error *err)
{
    trm_status status = trm_agree(g->comm, make_home(g, err), err);
    bool more = true;
    for (*rounds = 0; status == TRM_OK && more; *rounds += more)
        status = round_of_all(g, &more, err);
    if (status == TRM_OK)
        status = follow(g, err);
    return status == TRM_OK ? hand_out(g, group, err) : status;
}

void trm_groups_destroy(trm_groups **result)
{
    trm_groups *g = *result;
    if (g == NULL)
        return;
    trm_distinct_free(&g->joined);
    trm_free(g->up);
    trm_free(g->parent);
    trm_free(g->moving);
    trm_free(g->counts);
    trm_free(g);
    *result = NULL;
}

int64_t trm_groups_bytes(int64_t rows, int ranks, int64_t joined)
{
    const int64_t here = rows / ranks + 1, all = joined > rows / ranks ? rows : joined * ranks;
    /* forest; edges; their ends, asked for and answered, on their way; what comes of others; parents, and who jumps */
    return trm_distinct_bytes(joined) + (4 + 2 + 8) * 8 * joined + 4 * 8 * all + 8 * 8 * here;
}
