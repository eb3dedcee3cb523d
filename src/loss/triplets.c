/* Losses on triplets; see triplets.h. Sums are exact and weights are routed to their rows' owners, so it does
 * not matter which rank or thread has which triplet. */
#include "loss/triplets.h"

#include "base/alloc.h"
#include "base/exact_sum.h"
#include "loss/pairs.h"
#include "loss/term.h"
#include "par/agree.h"
#include "par/merge.h"

static const int64_t triplets_a_round = INT64_C(1) << 18;
enum { WEIGHTS_A_TRIPLET = 4 };

/* The lists of weights that a triplet's go to. Of one set there is one list; of two there are these, the last only
 * where distances are swapped. */
enum { OF_ANCHORS, OF_OTHERS, OF_OTHERS_BY_OTHERS, LISTS };
enum { WEIGHTS_A_LIST = 2 }; /* of a triplet, of two sets */

struct trm_triplet_loss {
    const trm_given *anchors, *others;
    trm_loss_options options;
    int lists;
    trm_gradient *of_anchors, *of_others; /* NULL without a gradient, of_others also where there is one set */
    trm_exact_sum sum;
    int64_t count, active;
};

static bool of_two_sets(const trm_triplet_loss *loss)
{
    return loss->anchors != loss->others;
}

static trm_status create_gradients(trm_triplet_loss *loss, trm_error *err)
{
    const trm_metric metric = loss->options.metric;
    const bool integers = trm_term_slopes_are_whole(&loss->options);
    const trm_given *const by[] = {loss->anchors, loss->others};
    loss->lists = !of_two_sets(loss) ? 1 : loss->options.swap ? LISTS : OF_OTHERS_BY_OTHERS;
    trm_status status =
        trm_gradient_create(loss->anchors, 1, &loss->others, metric, integers, &loss->of_anchors, err);
    if (status == TRM_OK && of_two_sets(loss))
        status = trm_gradient_create(loss->others, loss->lists - OF_OTHERS, by, metric, integers,
                                     &loss->of_others, err);
    return status;
}

trm_status trm_triplet_loss_create(const trm_given *anchors, const trm_given *others,
                                   const trm_loss_options *options, bool gradient, trm_triplet_loss **loss,
                                   trm_error *err)
{
    trm_triplet_loss *made = trm_alloc_zero(1, sizeof *made);
    trm_status status = made == NULL ? trm_fail_memory(err, "a loss", 1, sizeof *made) : TRM_OK;
    status = trm_agree(anchors->comm, status, err);
    if (status == TRM_OK) {
        made->anchors = anchors;
        made->others = others;
        made->options = *options;
        if (gradient)
            status = create_gradients(made, err);
    }
    *loss = made;
    if (status != TRM_OK)
        trm_triplet_loss_destroy(loss);
    return status;
}

void trm_triplet_loss_destroy(trm_triplet_loss **loss)
{
    if (*loss == NULL)
        return;
    trm_gradient_destroy(&(*loss)->of_anchors);
    trm_gradient_destroy(&(*loss)->of_others);
    trm_free(*loss);
    *loss = NULL;
}

/* One round: swapped distances (NULL without --swap) and room for the weights (NULL without a gradient). */
typedef struct trm_round {
    const trm_triplet *triplets;
    int64_t count;
    trm_pair *swapped;
    trm_weight *weights;
} trm_round;

/* Of one set: all weights of triplet k, in the one list. swap: the positive's distance to the negative counts. */
static void set_weights(const trm_round *round, int64_t k, double weight, bool swap)
{
    const trm_triplet *t = &round->triplets[k];
    trm_weight *w = round->weights + k * WEIGHTS_A_TRIPLET;
    const int64_t from = swap ? t->positive : t->anchor;
    const bool lone = t->positive < 0;
    w[0] = (trm_weight){t->anchor, lone ? t->anchor : t->positive, lone ? 0.0 : weight};
    w[1] = (trm_weight){w[0].j, t->anchor, w[0].weight};
    w[2] = (trm_weight){from, t->negative, -weight};
    w[3] = (trm_weight){t->negative, from, -weight};
}

/* Of two sets: one list after the other, each with room for all triplets of the round. */
static void set_weights_of_two(const trm_round *round, int64_t k, double weight, bool swap)
{
    const trm_triplet *t = &round->triplets[k];
    const int64_t a = t->anchor, p = t->positive, n = t->negative, list = round->count * WEIGHTS_A_LIST;
    const double positive = p < 0 ? 0.0 : weight, negative = swap ? 0.0 : -weight;
    trm_weight *w = round->weights + k * WEIGHTS_A_LIST;
    w[0] = (trm_weight){a, p, positive};
    w[1] = (trm_weight){a, n, negative};
    w[list] = (trm_weight){p, a, positive};
    w[list + 1] = (trm_weight){n, a, negative};
    if (round->swapped != NULL) {
        w[2 * list] = (trm_weight){p, n, swap ? -weight : 0.0};
        w[2 * list + 1] = (trm_weight){n, p, swap ? -weight : 0.0};
    }
}

/* Adds triplet k to a thread's sum and sets its weights; whether it is active. */
static bool evaluate(const trm_triplet_loss *loss, const trm_round *round, int64_t k, trm_exact_sum *sum)
{
    const trm_triplet *t = &round->triplets[k];
    const bool swap = round->swapped != NULL && t->positive >= 0 && round->swapped[k].d < t->d_an;
    const double d_an = swap ? round->swapped[k].d : t->d_an;
    const double z = trm_term_z(t->d_ap, d_an, loss->options.margin);
    trm_term_add_loss(&loss->options, t->d_ap, d_an, z, sum);
    if (round->weights != NULL)
        (of_two_sets(loss) ? set_weights_of_two : set_weights)(round, k, trm_term_slope(&loss->options, z),
                                                               swap);
    return trm_term_active(&loss->options, z);
}

static void evaluate_all(trm_triplet_loss *loss, const trm_round *round)
{
    int64_t active = 0;
#pragma omp parallel num_threads(loss->others->threads) reduction(+ : active)
    {
        trm_exact_sum sum;
        trm_exact_sum_clear(&sum);
#pragma omp for schedule(static)
        for (int64_t k = 0; k < round->count; k++)
            active += evaluate(loss, round, k, &sum);
#pragma omp critical(trimine_loss)
        trm_exact_sum_merge(&loss->sum, &sum);
    }
    loss->active += active;
    loss->count += round->count;
}

/* Those that are not zero, moved to the front. */
static int64_t drop_zeros(trm_weight *weights, int64_t count)
{
    int64_t kept = 0;
    for (int64_t k = 0; k < count; k++)
        if (weights[k].weight != 0.0) // NOLINT(clang-analyzer-core.NullDereference): NULL only with count 0
            weights[kept++] = weights[k];
    return kept;
}

/* d(p,n) of each triplet. Where there is no positive it is not looked at. Collective. */
static trm_status measure_swapped(const trm_triplet_loss *loss, const trm_round *round, trm_error *err)
{
    for (int64_t k = 0; k < round->count; k++) {
        const trm_triplet *t = &round->triplets[k];
        round->swapped[k] = (trm_pair){.i = t->positive < 0 ? t->negative : t->positive, .j = t->negative};
    }
    return trm_pairs_measure(loss->others, loss->others, loss->options.metric, round->count, round->swapped,
                             err);
}

static int64_t weights_of_list(const trm_triplet_loss *loss)
{
    return of_two_sets(loss) ? WEIGHTS_A_LIST : WEIGHTS_A_TRIPLET;
}

static trm_status add_weights(trm_triplet_loss *loss, const trm_round *round, trm_error *err)
{
    const int64_t room = round->count * weights_of_list(loss);
    trm_status status = TRM_OK;
    for (int k = 0; k < loss->lists && status == TRM_OK; k++) {
        trm_weight *list = round->weights + k * room;
        status = trm_gradient_add(k == OF_ANCHORS ? loss->of_anchors : loss->of_others,
                                  k == OF_OTHERS_BY_OTHERS ? 1 : 0, list, drop_zeros(list, room), err);
    }
    return status;
}

static trm_status run_round(trm_triplet_loss *loss, const trm_triplet *triplets, int64_t count,
                            trm_error *err)
{
    const int64_t weights = loss->lists * weights_of_list(loss) * count; /* 0 without a gradient */
    trm_round round = {.triplets = triplets, .count = count};
    trm_status status = TRM_OK;
    if (loss->options.swap)
        round.swapped = trm_alloc(count, sizeof *round.swapped);
    if (loss->lists > 0)
        round.weights = trm_alloc(weights, sizeof *round.weights);
    if ((loss->options.swap && round.swapped == NULL) || (loss->lists > 0 && round.weights == NULL))
        status = trm_fail_memory(err, "triplets of a loss", count, sizeof *round.swapped);
    status = trm_agree(loss->others->comm, status, err);
    if (status == TRM_OK && loss->options.swap)
        status = measure_swapped(loss, &round, err);
    if (status == TRM_OK)
        evaluate_all(loss, &round);
    if (status == TRM_OK && loss->lists > 0)
        status = add_weights(loss, &round, err);
    trm_free(round.swapped);
    trm_free(round.weights);
    return status;
}

trm_status trm_triplet_loss_add(trm_triplet_loss *loss, const trm_triplet *triplets, int64_t count,
                                trm_error *err)
{
    int64_t most = 0;
    trm_status status = TRM_OK;
    MPI_Allreduce(&count, &most, 1, MPI_INT64_T, MPI_MAX, loss->others->comm);
    for (int64_t done = 0; done < most && status == TRM_OK; done += triplets_a_round) {
        const int64_t first = done < count ? done : count, left = count - first;
        status = run_round(loss, triplets + first, left < triplets_a_round ? left : triplets_a_round, err);
    }
    return status;
}

void trm_triplet_loss_total(const trm_triplet_loss *loss, trm_loss_summary *summary, trm_loss_part *part)
{
    MPI_Comm comm = loss->others->comm;
    int64_t counts[2] = {loss->count, loss->active};
    trm_exact_sum sum = loss->sum;
    if (part != NULL) {
        part->triplets = loss->count;
        part->loss_sum = trm_exact_sum_value(&sum);
    }
    MPI_Allreduce(MPI_IN_PLACE, counts, 2, MPI_INT64_T, MPI_SUM, comm);
    trm_merge_exact_sum(comm, &sum);
    summary->count = counts[0];
    summary->active = counts[1];
    summary->sum = trm_exact_sum_value(&sum);
}

trm_status trm_triplet_loss_gradient(trm_triplet_loss *loss, const trm_given *of, int64_t denominator,
                                     const double *norms, float *out, trm_error *err)
{
    return trm_gradient_finish(of == loss->anchors ? loss->of_anchors : loss->of_others, denominator, norms,
                               out, err);
}

int64_t trm_triplet_loss_bytes(int64_t triplets)
{
    /* At worst every weight stays, in an array that grows by half and is copied when it does; of a round,
     * weights as made, in the order of their owners, and as received. */
    const int64_t each = WEIGHTS_A_TRIPLET * (int64_t)sizeof(trm_weight);
    const int64_t round = triplets < triplets_a_round ? triplets : triplets_a_round;
    return triplets * each * 5 / 2 + 3 * round * each;
}
