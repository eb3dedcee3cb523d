/* Jobs that ask one question of all pairs of rows; see inner.h. */
#include "job/facts.h"
#include "job/inner.h"

#include "base/alloc.h"
#include "base/json.h"
#include "par/agree.h"
#include "par/exchange.h"

#include <string.h>

trm_status trm_job_plan_question(trm_job *job, trm_error *err)
{
    /* labels as they were given stay, and the names of them */
    const int64_t given = job->base.batch.count + job->queries.batch.count;
    const int64_t reserve =
        given * (int64_t)sizeof *job->base.batch.labels + trm_names_bytes(&job->labels.names);
    const trm_job_question *question = job->settings.kind->question;
    question->end(job); /* of an earlier plan */
    job->asked = trm_alloc_zero(1, question->bytes);
    trm_status status = job->asked == NULL ? trm_fail_memory(err, "a job", 1, question->bytes) : TRM_OK;
    status = trm_agree(job->comm, status, err);
    if (status != TRM_OK)
        return status;
    status = question->plan(job, reserve, err);
    job->mined.panels = job->ask.panels; /* as the choice of teams compares them */
    job->mined.memory_bytes = job->ask.memory_bytes;
    return status;
}

trm_status trm_job_run_question(trm_job *job, trm_error *err)
{
    int64_t first, last;
    trm_status status = job->settings.kind->question->run(job, err);
    const trm_rows *rows = trm_job_askers(job)->rows;
    trm_share(rows->count, rows->member, rows->replicate, &first, &last);
    job->part.rows = last - first;
    job->part.compute_s = job->ask.compute_s;
    job->part.wait_s = job->ask.wait_s;
    return status;
}

trm_mine_summary trm_job_as_mined(const trm_ask_summary *ask, double whole)
{
    trm_mine_summary mined = {.positive_pairs = ask->rows,
                              .arrange_s = ask->arrange_s,
                              .prepare_s = whole - ask->sweep_s - ask->answers_s,
                              .negatives_s = ask->sweep_s,
                              .answers_s = ask->answers_s,
                              .certify = {.elements = ask->elements, .float64 = ask->float64}};
    memcpy(mined.chains, ask->chains, sizeof mined.chains);
    return mined;
}

int trm_job_question_attributes(const trm_job *job, const char *format, const char *text, const char *hash,
                                trm_attribute *attribute)
{
    const trm_attribute all[] = {
        {"format", TRM_ATTRIBUTE_TEXT, format, 0, 0.0},
        {"format_version", TRM_ATTRIBUTE_INT, NULL, 1, 0.0},
        {"program_version", TRM_ATTRIBUTE_TEXT, trm_version(), 0, 0.0},
        {"metric", TRM_ATTRIBUTE_TEXT, trm_metric_name(job->settings.mine.metric), 0, 0.0},
        {"options", TRM_ATTRIBUTE_TEXT, text, 0, 0.0},
        {"store_rows", TRM_ATTRIBUTE_INT, NULL, job->base.total, 0.0},
        {"store_dim", TRM_ATTRIBUTE_INT, NULL, job->base.batch.dim, 0.0},
        {"store_fingerprint", TRM_ATTRIBUTE_TEXT, job->base.fingerprint, 0, 0.0},
        {"result_hash", TRM_ATTRIBUTE_TEXT, hash, 0, 0.0},
    };
    const int count = sizeof all / sizeof *all;
    for (int i = 0; i < count; i++)
        attribute[i] = all[i];
    return trm_job_add_queries(job, count, attribute);
}

/* ---- facts ---- */

/* Pairs of rows that the question was about: of one set each once. */
static double pairs(const trm_job *job)
{
    const double n = (double)job->ask.rows;
    return trm_settings_in_two_sets(&job->settings) ? n * (double)job->base.rows->total : n * (n - 1.0) / 2.0;
}

static json_t *run_json(const trm_job *job, int64_t peak_rss)
{
    const trm_ask_summary *s = &job->ask;
    json_t *run = trm_job_means_json(job, s->panels);
    trm_json_put_all(&run, json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "read_s", job->read_s,
                                     "arrange_s", s->arrange_s, "sweep_s", s->sweep_s, "answers_s",
                                     s->answers_s, "write_s", job->write_s, "total_s", job->total_s,
                                     "pairs_per_s", s->sweep_s > 0.0 ? pairs(job) / s->sweep_s : 0.0));
    trm_json_put_all(&run, trm_job_memory_json(job, peak_rss, s->memory_bytes));
    return run;
}

json_t *trm_job_question_facts(trm_job *job, int64_t peak_rss)
{
    const trm_ask_summary *s = &job->ask;
    json_t *object = trm_job_head_json(job, job->settings.store.unlabelled ? -1 : s->classes);
    trm_job_put_queries(job, &object);
    trm_json_put(&object, "rows",
                 json_pack("{s:I, s:I}", "total", (json_int_t)s->rows, "ignored", (json_int_t)s->ignored));
    job->settings.kind->question->tell(job, &object);
    trm_json_put(&object, "certify",
                 json_pack("{s:s, s:o, s:I, s:I, s:I}", "kernel", trm_run_kernel(job->run), "chains",
                           trm_chains_json(s->chains), "elements", (json_int_t)s->elements, "survivors",
                           (json_int_t)s->survivors, "float64", (json_int_t)s->float64));
    trm_json_put(&object, "warnings", trm_voice_warnings(&job->voice));
    trm_json_put(&object, "run", run_json(job, peak_rss));
    if (job->settings.checkpoint != NULL)
        trm_json_put(&object, "checkpoint", trm_job_checkpoint_report(&job->checkpoint, s->reused));
    return object;
}
