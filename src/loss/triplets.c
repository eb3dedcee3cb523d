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

struct trm_triplet_loss {
    const trm_given *given;
    trm_loss_options options;
    trm_gradient *gradient;
    trm_exact_sum sum;
    int64_t count, active;
};

trm_status trm_triplet_loss_create(const trm_given *given, const trm_loss_options *options,
                                   trm_gradient *gradient, trm_triplet_loss **loss, trm_error *err)
{
    trm_triplet_loss *made = trm_alloc_zero(1, sizeof *made);
    trm_status status = made == NULL ? trm_fail_memory(err, "a loss", 1, sizeof *made) : TRM_OK;
    status = trm_agree(given->comm, status, err);
    if (status != TRM_OK) {
        trm_free(made);
        made = NULL;
    } else {
        made->given = given;
        made->options = *options;
        made->gradient = gradient;
    }
    *loss = made;
    return status;
}

void trm_triplet_loss_destroy(trm_triplet_loss **loss)
{
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

static void set_weights(trm_weight *w, const trm_triplet *t, double weight, bool swap)
{
    const int64_t from = swap ? t->positive : t->anchor; /* whose distance to the negative counts */
    const bool lone = t->positive < 0;
    w[0] = (trm_weight){t->anchor, lone ? t->anchor : t->positive, lone ? 0.0 : weight};
    w[1] = (trm_weight){w[0].j, t->anchor, w[0].weight};
    w[2] = (trm_weight){from, t->negative, -weight};
    w[3] = (trm_weight){t->negative, from, -weight};
}

/* Adds triplet k to a thread's sum and sets its weights; whether it is active. */
static bool evaluate(const trm_triplet_loss *loss, const trm_round *round, int64_t k, trm_exact_sum *sum)
{
    const trm_triplet *t = &round->triplets[k];
    const bool swap = round->swapped != NULL && round->swapped[k].d < t->d_an;
    const double d_an = swap ? round->swapped[k].d : t->d_an;
    const double z = trm_term_z(t->d_ap, d_an, loss->options.margin);
    trm_term_add_loss(&loss->options, t->d_ap, d_an, z, sum);
    if (round->weights != NULL)
        set_weights(round->weights + k * WEIGHTS_A_TRIPLET, t, trm_term_slope(&loss->options, z), swap);
    return trm_term_active(&loss->options, z);
}

static void evaluate_all(trm_triplet_loss *loss, const trm_round *round)
{
    int64_t active = 0;
#pragma omp parallel num_threads(loss->given->threads) reduction(+ : active)
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

static trm_status run_round(trm_triplet_loss *loss, const trm_triplet *triplets, int64_t count,
                            trm_error *err)
{
    const trm_given *given = loss->given;
    trm_round round = {.triplets = triplets, .count = count};
    trm_status status = TRM_OK;
    if (loss->options.swap)
        round.swapped = trm_alloc(count, sizeof *round.swapped);
    if (loss->gradient != NULL)
        round.weights = trm_alloc(WEIGHTS_A_TRIPLET * count, sizeof *round.weights);
    if ((loss->options.swap && round.swapped == NULL) || (loss->gradient != NULL && round.weights == NULL))
        status = trm_fail_memory(err, "triplets of a loss", count, sizeof *round.swapped);
    status = trm_agree(given->comm, status, err);
    if (status != TRM_OK)
        goto done;
    if (loss->options.swap) {
        for (int64_t k = 0; k < count; k++) {
            const int64_t from = triplets[k].positive < 0 ? triplets[k].anchor : triplets[k].positive;
            round.swapped[k] = (trm_pair){.i = from, .j = triplets[k].negative};
        }
        status = trm_pairs_measure(given, loss->options.metric, count, round.swapped, err);
    }
    if (status != TRM_OK)
        goto done;
    evaluate_all(loss, &round);
    if (loss->gradient != NULL)
        status = trm_gradient_add(loss->gradient, round.weights,
                                  drop_zeros(round.weights, WEIGHTS_A_TRIPLET * count), err);
done:
    trm_free(round.swapped);
    trm_free(round.weights);
    return status;
}

trm_status trm_triplet_loss_add(trm_triplet_loss *loss, const trm_triplet *triplets, int64_t count,
                                trm_error *err)
{
    int64_t most = 0;
    trm_status status = TRM_OK;
    MPI_Allreduce(&count, &most, 1, MPI_INT64_T, MPI_MAX, loss->given->comm);
    for (int64_t done = 0; done < most && status == TRM_OK; done += triplets_a_round) {
        const int64_t first = done < count ? done : count, left = count - first;
        status = run_round(loss, triplets + first, left < triplets_a_round ? left : triplets_a_round, err);
    }
    return status;
}

void trm_triplet_loss_total(const trm_triplet_loss *loss, trm_loss_summary *summary, trm_loss_part *part)
{
    MPI_Comm comm = loss->given->comm;
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

int64_t trm_triplet_loss_bytes(int64_t triplets)
{
    /* At worst every weight stays, in an array that grows by half and is copied when it does; of a round,
     * weights as made, in the order of their owners, and as received. */
    const int64_t each = WEIGHTS_A_TRIPLET * (int64_t)sizeof(trm_weight);
    const int64_t round = triplets < triplets_a_round ? triplets : triplets_a_round;
    return triplets * each * 5 / 2 + 3 * round * each;
}
