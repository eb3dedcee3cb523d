/* Pairs within a radius; see trimine/radius.h.
 *
 * One sweep counts, and hashes, the pairs of each row. So what listing takes is known before anything is kept, rows without a pair
 * ask nothing more, and each pair has a place in the sorted list before it is found again: the second sweep goes through the rows
 * in as many panels as the memory asks for, and a file takes the pairs in any order. */
#include "eval/radius.h"

#include "base/alloc.h"
#include "base/bins.h"
#include "base/number.h"
#include "base/sized.h"
#include "eval/among.h"
#include "eval/asking.h"
#include "eval/radius_rows.h"
#include "eval/within.h"
#include "metric/metric.h"
#include "par/agree.h"
#include "par/arguments.h"
#include "par/exchange.h"
#include "par/groups.h"
#include "par/merge.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- options ---- */

static const trm_sized sized = {.name = "trm_radius_options", .size = sizeof(trm_radius_options)};

void trm_radius_options_init_sized(trm_radius_options *options, size_t size)
{
    const trm_radius_options own = {
        .size = sizeof own, .metric = TRM_METRIC_SQL2, .radius = NAN, .bins = 20, .max_pairs = 100000000};
    trm_sized_give(&sized, &own, options, &size);
}

static const trm_option table_rows[] = {
    {.name = "radius",
     .letter = 'r',
     .value = "R",
     .about = "pairs with a distance of at most R",
     .json = "radius",
     .kind = TRM_OPTION_REAL,
     TRM_FIELD(trm_radius_options, radius),
     .least = -INFINITY,
     .optional = true,
     .decides = TRM_AT_ANY},
    {.name = "among",
     .value = "WHICH",
     .about = "which pairs: of a row and",
     .json = "among",
     .kind = TRM_OPTION_WORD,
     TRM_FIELD(trm_radius_options, among),
     .words = &trm_among_words,
     .decides = TRM_AT_ANY},
    {.name = "groups",
     .about = "find the groups of rows that pairs connect, directly or over others",
     .json = "groups",
     .kind = TRM_OPTION_FLAG,
     TRM_FIELD(trm_radius_options, groups),
     .decides = TRM_AT_ANY},
    {.name = "histogram",
     .value = "BINS",
     .about = "bins of the histogram of distances",
     .json = "histogram",
     .kind = TRM_OPTION_WHOLE,
     TRM_FIELD(trm_radius_options, bins),
     .least = 1,
     .most = TRM_RADIUS_BINS_MOST,
     .decides = TRM_AT_ANY},
    {.name = "max-pairs",
     .value = "M",
     .about = "with -o: refuse to write more pairs than that, once they are counted",
     .kind = TRM_OPTION_WHOLE,
     TRM_FIELD(trm_radius_options, max_pairs),
     .most = TRM_MOST},
    {.kind = TRM_OPTION_WORD, TRM_FIELD(trm_radius_options, metric), .words = &trm_metric_words},
};
const trm_options trm_radius_table = TRM_OPTIONS("Pairs", table_rows);

/* What the table can't say. */
static trm_status check(const trm_radius_options *options, trm_error *err)
{
    char text[TRM_NUMBER_TEXT];
    if (isnan(options->radius))
        return trm_fail(err, TRM_ERR_USAGE, "--radius: how far apart may the rows of a pair be?");
    if (options->radius < 0.0 && options->metric != TRM_METRIC_DOT)
        return trm_fail(err, TRM_ERR_USAGE, "--radius %s: only dot has distances below 0",
                        trm_number_text(options->radius, text));
    if (options->groups && options->queries != NULL)
        return trm_fail(err, TRM_ERR_USAGE, "--groups: are of one set, and do not go with --queries");
    return TRM_OK;
}

static trm_status take_options(const trm_run *run, const trm_radius_options *given, trm_radius_options *own,
                               trm_error *err)
{
    trm_arguments list = {.count = 0};
    trm_radius_options_init(own);
    trm_status status = trm_sized_take(&sized, own, given, err);
    trm_arguments_options(&list, &trm_radius_table, own);
    trm_arguments_whole(&list, "list", own->list, 0, 1);
    trm_arguments_whole(&list, "queries", own->queries != NULL, 0, 1);
    status = trm_arguments_agree(run->comm, &list, status, err);
    return status == TRM_OK ? check(own, err) : status; /* equal on all ranks now */
}

/* ---- planning ---- */

/* What came of counting, but for rows: the tally, and how much was done for it. */
enum { COUNTED_ELEMENTS = TRM_TALLY_WORDS, COUNTED_SURVIVORS, COUNTED_FLOAT64, COUNTED_WORDS };
/* What a checkpoint has of that. */
enum { PART_OWN, PART_OTHERS, PART_COUNTED, PARTS };

struct trm_search {
    trm_run *run;
    const trm_rows *rows;   /* of the store */
    const trm_rows *askers; /* which of one set are the same */
    trm_radius_options options;
    trm_within within;
    trm_query query;
    trm_asking *asking;
    int64_t *own, *others,
        *place; /* of each row of this team's shard of the askers: as trm_ids_create has them */
    int64_t counted[COUNTED_WORDS];
    trm_checkpoint_part part[PARTS]; /* of a checkpoint that is past the counting */
    trm_ids ids;
    /* while pairs are listed */
    trm_groups *groups; /* or NULL */
    trm_radius_fn take;
    void *context;
};

enum { PAIR_BYTES = 4 * 8 };

/* Is there a second sweep? */
static bool lists(const trm_search *search)
{
    return search->options.list || search->options.groups;
}

/* What is held meanwhile, or comes between the sweeps. */
static int64_t bytes_of_rows(const trm_search *search)
{
    return 3 * 8 * (trm_rows_largest_shard(search->askers) + 1) +
           trm_ids_bytes(search->askers, search->run->ranks);
}

/* question: what is not the same for both sweeps. Collective. */
static trm_status plan(trm_search *search, const trm_query_type *type, trm_question question,
                       trm_ask_summary *ask, trm_error *err)
{
    search->query = (trm_query){type, &search->within};
    question.query = &search->query;
    question.metric = search->options.metric;
    question.queries = search->options.queries;
    question.reserve += search->options.reserve + bytes_of_rows(search);
    question.keeps = true;
    return trm_asking_create(search->run, search->rows, &question, ask, &search->asking, err);
}

trm_status trm_search_create(trm_run *run, const trm_rows *rows, const trm_radius_options *options,
                             trm_radius_summary *summary, trm_search **result, trm_error *err)
{
    trm_search *search = *result = trm_alloc_zero(1, sizeof *search);
    trm_status status = search == NULL ? trm_fail_memory(err, "a search", 1, sizeof *search) : TRM_OK;
    *summary = (trm_radius_summary){.most = {-1, 0}};
    status = trm_agree(run->comm, status, err);
    if (status != TRM_OK) {
        trm_free(search);
        *result = NULL;
        return status;
    }
    search->run = run;
    search->rows = rows;
    status = take_options(run, options, &search->options, err);
    if (status != TRM_OK)
        return status;
    const trm_radius_options *own = &search->options;
    search->askers = own->queries != NULL ? own->queries : rows;
    search->within = (trm_within){.radius = own->radius, .one_set = own->queries == NULL, .bins = own->bins};
    return plan(search, trm_within_counting(own->among), (trm_question){.name = "pairs being counted"},
                &summary->ask, err);
}

void trm_search_travel(const trm_search *search, int64_t *visit, int64_t *home)
{
    trm_asking_travel(search->asking, visit, home);
}

void trm_search_destroy(trm_search **result)
{
    trm_search *search = *result;
    if (search == NULL)
        return;
    trm_asking_destroy(&search->asking);
    trm_groups_destroy(&search->groups);
    trm_ids_free(&search->ids);
    trm_free(search->own);
    trm_free(search->others);
    trm_free(search->place);
    trm_free(search);
    *result = NULL;
}

/* ---- counting ---- */

static double largest_norm(const trm_rows *rows)
{
    double largest = 0.0;
    for (int64_t row = 0; row < rows->count; row++)
        largest = fmax(largest, rows->norm2[row]);
    return largest;
}

/* The range of the histogram: no distance is outside of it, but for rounding. Collective. */
static void set_edges(trm_search *search)
{
    trm_within *within = &search->within;
    double norm[2] = {largest_norm(search->rows), largest_norm(search->askers)};
    MPI_Allreduce(MPI_IN_PLACE, norm, 2, MPI_DOUBLE, MPI_MAX, search->run->comm);
    const double x = sqrt(norm[0]), y = sqrt(norm[1]);
    const trm_metric metric = search->options.metric;
    const double least = metric == TRM_METRIC_DOT ? -(x * y) : 0.0;
    double most = metric == TRM_METRIC_DOT      ? x * y
                  : metric == TRM_METRIC_COSINE ? 2.0
                  : metric == TRM_METRIC_L2     ? x + y
                                                : (x + y) * (x + y);
    most = fmin(most, within->radius);
    trm_bins_set(within->edges, within->bins, least, fmax(least, most));
    within->scale = trm_bins_scale(within->edges, within->bins);
}

/* A trm_answers_fn: every member of a team knows the counts of its whole shard. */
static trm_status take_counts(void *context, const trm_answers *answers, trm_error *err)
{
    (void)err;
    const trm_search *search = context;
    for (int64_t row = 0; row < answers->rows->count; row++) {
        const int64_t *count = trm_within_counted(answers->state, row);
        if (count == NULL)
            continue;
        search->own[row] = count[TRM_WITHIN_OWN];
        search->others[row] = count[TRM_WITHIN_OTHERS];
    }
    return TRM_OK;
}

static trm_status make_counts(trm_search *search, trm_error *err)
{
    const int64_t rows = search->askers->count;
    search->own = trm_alloc_zero(rows, sizeof *search->own);
    search->others = trm_alloc_zero(rows, sizeof *search->others);
    search->place = trm_alloc_zero(rows, sizeof *search->place);
    return search->own == NULL || search->others == NULL || search->place == NULL
               ? trm_fail_memory(err, "counts of pairs", rows, 3 * sizeof *search->own)
               : TRM_OK;
}

static void take_tally(const trm_search *search, const int64_t *tally, trm_radius_summary *summary)
{
    const trm_hash_sum hash = trm_within_hash(tally);
    const trm_within *within = &search->within;
    trm_hash_sum_text(&hash, summary->result_hash);
    summary->bins = within->bins;
    memcpy(summary->edges, within->edges, (size_t)(within->bins + 1) * sizeof *summary->edges);
    summary->pairs = 0;
    for (int64_t i = 0; i < within->bins; i++) {
        summary->bin[i] = trm_within_bins(tally)[i];
        summary->pairs += summary->bin[i];
    }
    summary->list_bytes = 24 * summary->pairs;
}

/* Rows that a team's pairs join, at most: of the team here, or the most of all. */
static int64_t joined_rows(const trm_search *search)
{
    int64_t most = 0;
    for (int t = 0; t < trm_rows_shards_here(search->askers); t++) {
        int64_t from, to, joined = 0;
        trm_rows_shard_here(search->askers, t, &from, &to);
        for (int64_t row = from; row < to; row++)
            joined += search->own[row] > 0 ? search->own[row] + 1 : 0;
        most = joined > most ? joined : most;
    }
    return most < search->askers->store_rows ? most : search->askers->store_rows;
}

/* Plans the second sweep by what was counted: anew, in this run. Collective. */
static trm_status plan_list(trm_search *search, bool anew, trm_radius_summary *summary, trm_error *err)
{
    const trm_radius_options *options = &search->options;
    char text[TRM_NUMBER_TEXT];
    if (options->list && summary->pairs > options->max_pairs)
        return trm_fail(err, TRM_ERR_DATA,
                        "radius %s: %" PRId64 " pairs, more than the %" PRId64
                        " that may be listed (--max-pairs)",
                        trm_number_text(options->radius, text), summary->pairs, options->max_pairs);
    const trm_ask_summary counting = summary->ask;
    const int64_t groups = options->groups ? trm_groups_bytes(search->askers->store_rows, search->run->ranks,
                                                              joined_rows(search))
                                           : 0;
    trm_asking_destroy(&search->asking);
    const trm_question question = {.name = "pairs",
                                   .slots = search->own,
                                   .reserve = groups + TRM_SEARCH_AT_ONCE * PAIR_BYTES,
                                   .extras = PARTS,
                                   .extra = search->part,
                                   .anew = anew};
    const trm_status status = plan(search, trm_within_listing(options->among), question, &summary->ask, err);
    const int64_t listing = summary->ask.memory_bytes;
    const int panels = summary->ask.panels;
    summary->ask = counting;
    summary->ask.panels = panels;
    summary->ask.memory_bytes = listing > counting.memory_bytes ? listing : counting.memory_bytes;
    return status;
}

/* The part of so many pairs that the first rows of all have. */
static int64_t pairs_before(int64_t pairs, int64_t row, int64_t total)
{
    return (int64_t)((double)pairs * (double)row / (double)total);
}

trm_status trm_search_expect(trm_search *search, int64_t pairs, int64_t *bytes, trm_error *err)
{
    const trm_rows *rows = search->askers;
    const trm_radius_options *options = &search->options;
    trm_radius_summary summary = {.pairs = pairs, .ask.memory_bytes = *bytes};
    if (!lists(search) || pairs == 0 ||
        (options->list && pairs > options->max_pairs)) /* it is refused then */
        return TRM_OK;
    trm_status status = trm_agree(search->run->comm, make_counts(search, err), err);
    if (status != TRM_OK)
        return status;
    for (int64_t row = 0; row < rows->count; row++)
        search->own[row] = pairs_before(pairs, rows->first + row + 1, rows->total) -
                           pairs_before(pairs, rows->first + row, rows->total);
    status = plan_list(search, false, &summary, err);
    *bytes = summary.ask.memory_bytes;
    return status;
}

/* A count of each row: of this member's share, or of the whole shard. */
static trm_checkpoint_part part_of(const trm_search *search, const char *name, int64_t *counts, bool whole)
{
    const trm_rows *rows = search->askers;
    int64_t from = 0, to = rows->count;
    if (!whole)
        trm_share(rows->count, rows->member, rows->replicate, &from, &to);
    return (trm_checkpoint_part){name, rows->total, rows->first + from, to - from, counts + from};
}

static const char name_of_own[] = "radius own", name_of_others[] = "radius others",
                  name_of_counted[] = "radius counted";

/* Did an earlier run end the counting? The same on all ranks. */
static bool was_counted(const trm_search *search)
{
    const trm_checkpoint *place = search->run->checkpoint;
    return place != NULL && place->resumes && place->size(place->context, name_of_counted) >= 0;
}

/* Takes what it counted. Collective. */
static trm_status take_counted(trm_search *search, trm_radius_summary *summary, trm_error *err)
{
    const trm_checkpoint *place = search->run->checkpoint;
    const trm_checkpoint_part part[PARTS] = {
        [PART_OWN] = part_of(search, name_of_own, search->own, true),
        [PART_OTHERS] = part_of(search, name_of_others, search->others, true),
        [PART_COUNTED] = {name_of_counted, COUNTED_WORDS, 0, COUNTED_WORDS, search->counted}};
    const trm_status status = place->load(place->context, TRM_CHECKPOINT_STATE, PARTS, part, err);
    const trm_rows *rows = search->askers;
    summary->ask.rows = rows->total;
    summary->ask.ignored = rows->store_rows - rows->total;
    summary->ask.classes = search->rows->by_id ? 0 : search->rows->classes;
    summary->ask.elements = summary->ask.reused = search->counted[COUNTED_ELEMENTS];
    summary->ask.survivors = search->counted[COUNTED_SURVIVORS];
    summary->ask.float64 = search->counted[COUNTED_FLOAT64];
    return status;
}

/* Collective. */
static trm_status count_now(trm_search *search, trm_radius_summary *summary, trm_error *err)
{
    const trm_status status =
        trm_asking_run(search->asking, take_counts, search, search->counted, &summary->ask, err);
    search->counted[COUNTED_ELEMENTS] = summary->ask.elements;
    search->counted[COUNTED_SURVIVORS] = summary->ask.survivors;
    search->counted[COUNTED_FLOAT64] = summary->ask.float64;
    return status;
}

static void set_parts(trm_search *search)
{
    search->part[PART_OWN] = part_of(search, name_of_own, search->own, false);
    search->part[PART_OTHERS] = part_of(search, name_of_others, search->others, false);
    search->part[PART_COUNTED] = (trm_checkpoint_part){
        name_of_counted, COUNTED_WORDS, 0, search->run->rank == 0 ? COUNTED_WORDS : 0, search->counted};
}

trm_status trm_search_count(trm_search *search, trm_radius_summary *summary, trm_error *err)
{
    const bool counted = was_counted(search);
    set_edges(search);
    trm_status status = trm_agree(search->run->comm, make_counts(search, err), err);
    if (status == TRM_OK)
        status = counted ? take_counted(search, summary, err) : count_now(search, summary, err);
    if (status != TRM_OK)
        return status;
    take_tally(search, search->counted, summary);
    set_parts(search);
    status = trm_ids_create(search->run->comm, search->askers, search->own, search->others, search->place,
                            &search->ids, err);
    if (status != TRM_OK)
        return status;
    trm_ids_count(&search->ids, summary);
    return lists(search) ? plan_list(search, !counted, summary, err) : TRM_OK;
}

/* ---- listing ---- */

/* Pairs of a panel being handed out: from pair `at` of the answers' row k on. */
typedef struct piece {
    int64_t *place, *a, *b;
    double *distance;
    int64_t count, k, at;
} piece;

static trm_status make_piece(piece *made, trm_error *err)
{
    *made = (piece){.place = trm_alloc(TRM_SEARCH_AT_ONCE, sizeof *made->place),
                    .a = trm_alloc(TRM_SEARCH_AT_ONCE, sizeof *made->a),
                    .b = trm_alloc(TRM_SEARCH_AT_ONCE, sizeof *made->b),
                    .distance = trm_alloc(TRM_SEARCH_AT_ONCE, sizeof *made->distance)};
    return made->place != NULL && made->a != NULL && made->b != NULL && made->distance != NULL
               ? TRM_OK
               : trm_fail_memory(err, "pairs", TRM_SEARCH_AT_ONCE, PAIR_BYTES);
}

static void free_piece(piece *made)
{
    trm_free(made->place);
    trm_free(made->a);
    trm_free(made->b);
    trm_free(made->distance);
}

/* As many as fit. */
static void fill_piece(const trm_search *search, const trm_answers *answers, piece *into)
{
    for (into->count = 0; into->k < answers->count && into->count < TRM_SEARCH_AT_ONCE;) {
        int64_t count;
        const int64_t row = answers->row[into->k];
        const trm_candidate *list = trm_within_listed(answers->state, row, &count);
        for (; into->at < count && into->count < TRM_SEARCH_AT_ONCE; into->at++, into->count++) {
            into->place[into->count] = search->place[row] + into->at;
            into->a[into->count] = answers->rows->id[row];
            into->b[into->count] = list[into->at].id;
            into->distance[into->count] = list[into->at].key;
        }
        if (into->at == count) {
            into->k++;
            into->at = 0;
        }
    }
}

static trm_status hand_out(const trm_search *search, const piece *from, trm_error *err)
{
    const trm_radius_pairs pairs = {from->count, from->place, from->a, from->b, from->distance};
    trm_status status = TRM_OK;
    for (int64_t i = 0; i < from->count && search->groups != NULL && status == TRM_OK; i++)
        status = trm_groups_join(search->groups, from->a[i], from->b[i], err);
    status = trm_agree(search->run->comm, status, err);
    if (status == TRM_OK && search->options.list && search->take != NULL)
        status = search->take(search->context, &pairs, err);
    return trm_agree(search->run->comm, status, err); /* take may be NULL on some ranks */
}

/* A trm_answers_fn. */
static trm_status give(void *context, const trm_answers *answers, trm_error *err)
{
    const trm_search *search = context;
    int64_t all = 0, missing = 0;
    piece part;
    MPI_Comm comm = search->run->comm;
    for (int64_t k = 0; k < answers->count; k++) {
        const int64_t row = answers->row[k], own = search->own[row];
        int64_t count;
        const trm_candidate *list = trm_within_listed(answers->state, row, &count);
        all += own;
        if (own > 0 && (count != own || !trm_candidate_exists(list[own - 1])))
            missing++;
    }
    int64_t rounds = (all + TRM_SEARCH_AT_ONCE - 1) / TRM_SEARCH_AT_ONCE;
    MPI_Allreduce(MPI_IN_PLACE, &rounds, 1, MPI_INT64_T, MPI_MAX, comm);
    trm_status status = make_piece(&part, err);
    if (status == TRM_OK && missing > 0)
        status =
            trm_fail(err, TRM_ERR_INTERNAL, "%" PRId64 " rows have fewer pairs than were counted", missing);
    status = trm_agree(comm, status, err);
    for (int64_t r = 0; r < rounds && status == TRM_OK; r++) {
        fill_piece(search, answers, &part);
        status = hand_out(search, &part, err);
    }
    free_piece(&part);
    return status;
}

/* Collective. */
static trm_status settle_groups(trm_search *search, trm_radius_summary *summary, trm_error *err)
{
    int64_t *group = trm_alloc(search->ids.count, sizeof *group);
    trm_status status =
        group == NULL ? trm_fail_memory(err, "groups", search->ids.count, sizeof *group) : TRM_OK;
    status = trm_agree(search->run->comm, status, err);
    if (status == TRM_OK)
        status = trm_groups_settle(search->groups, group, &summary->groups.rounds, err);
    trm_groups_destroy(&search->groups);
    if (status == TRM_OK)
        return trm_ids_take_groups(&search->ids, group, summary, err);
    trm_free(group);
    return status;
}

/* What both sweeps did together. */
static void add_summary(trm_ask_summary *into, const trm_ask_summary *more)
{
    into->elements += more->elements;
    into->survivors += more->survivors;
    into->float64 += more->float64;
    into->reused += more->reused;
    into->sweep_s += more->sweep_s;
    into->answers_s += more->answers_s;
    into->compute_s += more->compute_s;
    into->wait_s += more->wait_s;
    into->panels = more->panels;
    for (int c = 0; c < TRM_CHAINS; c++) { /* the same chains */
        into->chains[c].elements += more->chains[c].elements;
        into->chains[c].ns = more->chains[c].ns > 0.0 ? more->chains[c].ns : into->chains[c].ns;
    }
}

trm_status trm_search_list(trm_search *search, trm_radius_fn take, void *context, trm_radius_summary *summary,
                           trm_error *err)
{
    trm_status status = TRM_OK;
    trm_ask_summary ask;
    if (!lists(search))
        return TRM_OK;
    search->take = take;
    search->context = context;
    if (search->options.groups)
        status = trm_groups_create(search->run->comm, search->askers->store_rows, &search->groups, err);
    if (status == TRM_OK && summary->pairs > 0) {
        status = trm_asking_run(search->asking, give, search, NULL, &ask, err);
        if (status == TRM_OK)
            add_summary(&summary->ask, &ask);
    }
    trm_asking_destroy(&search->asking); /* its memory is for what follows */
    return status == TRM_OK && search->options.groups ? settle_groups(search, summary, err) : status;
}

trm_radius_rows trm_search_rows(const trm_search *search)
{
    const trm_ids *ids = &search->ids;
    return (trm_radius_rows){ids->first, ids->count, ids->near, ids->group};
}

/* ---- the library's ---- */

trm_status trm_radius_plan(trm_run *run, const trm_rows *rows, const trm_radius_options *options,
                           trm_radius_summary *summary, trm_error *err)
{
    trm_search *search = NULL;
    trm_status status = trm_search_create(run, rows, options, summary, &search, err);
    trm_search_destroy(&search);
    return status;
}

trm_status trm_radius(trm_run *run, const trm_rows *rows, const trm_radius_options *options,
                      trm_radius_fn take, trm_radius_rows_fn take_rows, void *context,
                      trm_radius_summary *summary, trm_error *err)
{
    trm_search *search = NULL;
    trm_status status = trm_search_create(run, rows, options, summary, &search, err);
    if (status == TRM_OK)
        status = trm_search_count(search, summary, err);
    if (status == TRM_OK)
        status = trm_search_list(search, take, context, summary, err);
    if (status == TRM_OK) {
        const trm_radius_rows found = trm_search_rows(search);
        status = take_rows != NULL ? take_rows(context, &found, err) : TRM_OK;
        status = trm_agree(run->comm, status, err);
    }
    trm_search_destroy(&search);
    return status;
}
