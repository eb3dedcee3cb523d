/* Command lines, one a row: what is refused, in which words, and what is read as what. */
#include "cli/cli.h"
#include "job/inner.h"

#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WORDS = 12 };

/* Parses "mine s.h5 -o t.h5"; '_' stands for an empty word. */
static trm_status parse(const char *line, trm_cli *cli, trm_error *err)
{
    static char text[512], program[] = "trimine", nothing[] = "";
    char *words[WORDS + 2] = {program}, *rest = text;
    int count = 1;
    snprintf(text, sizeof text, "%s", line);
    for (char *word = strsep(&rest, " "); word != NULL && count <= WORDS; word = strsep(&rest, " "))
        words[count++] = strcmp(word, "_") == 0 ? nothing : word;
    *err = (trm_error)TRM_ERROR_INIT;
    return trm_cli_parse(count, words, cli, err);
}

static void done(trm_cli *cli)
{
    trm_cli_free(cli);
}

static bool matches(const char *pattern, const char *text)
{
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    const bool found = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return found;
}

static const struct {
    const char *line, *pattern;
} refused[] = {
    {"mien s.h5", "^'mien': no such command, did you mean 'mine'\\? .*--help"},
    {"frobnicate s.h5", "^'frobnicate': no such command \\(see"},
    {"qrels q.tsv", "^'qrels': no such command, it is in Python: python3 -m trimine.qrels$"},
    {"help lss", "^'lss': no such command, did you mean 'loss'"},
    {"--json mine s.h5", "^'--json': the command comes first"},
    {"mine s.h5 --metrc l2",
     "^'--metrc': unknown option, did you mean '--metric'\\? \\(see trimine mine --help\\)"},
    {"mine s.h5 --metrc=l2", "^'--metrc': unknown option, did you mean '--metric'"},
    {"mine s.h5 --frobnicate", "^'--frobnicate': unknown option \\(see"},
    {"mine s.h5 --marg 1", "^'--marg': unknown option, did you mean '--margin'"}, /* no abbreviations */
    {"mine s.h5 --over", "^'--over': unknown option, did you mean '--overwrite'"},
    {"mine s.h5 -margin 1", "^'-margin': unknown option, did you mean '--margin'"},
    {"mine s.h5 -overwrite", "^'-overwrite': unknown option, did you mean '--overwrite'"},
    {"mine s.h5 -x", "^'-x': unknown option"},
    {"mine s.h5 --num_negatives 3",
     "^'--num_negatives': unknown option, here it is --negatives topk:K \\(see"},
    {"mine s.h5 --topk=3", "^'--topk': unknown option, here it is --negatives topk:K \\(see"},
    {"knn s.h5 --topk=3", "^'--topk': unknown option, here it is --k \\(see"},
    {"synth s.h5 --topk=3", "^'--topk': unknown option \\(see"},
    {"eval s.h5 -o per.h5",
     "^'--output': not an option of trimine eval, but of: .*, here it is --per-query$"},
    {"eval s.h5 -k 3", "^'--k': not an option of trimine eval, but of: knn, here it is --at$"},
    {"eval s.h5 --query q.h5", "^'--query': unknown option, here it is --queries \\(see"},
    {"eval s.h5 --qrels q.tsv", "^'--qrels': unknown option, here it is --pairs, of row ids: python3 -m "
                                "trimine.qrels makes them \\(see"},
    {"mine s.h5 --", "^$"},
    {"mine s.h5 --loss mined", "^'--loss': not an option of trimine mine, but of: loss$"},
    {"synth s.h5 --metric l2",
     "^'--metric': not an option of trimine synth, but of: mine loss knn eval radius plan bench$"},
    {"mine s.h5 --margin", "^'--margin': needs a value: --margin M$"},
    {"mine s.h5 --metric --soft", "^'--metric': needs a value"},
    {"mine s.h5 -o", "^'--output': needs a value: --output FILE$"},
    {"mine s.h5 --soft=yes", "^'--soft': takes no value, but got 'yes'$"},
    {"mine s.h5 --soft=", "^'--soft': takes no value, but got ''$"},
    {"mine s.h5 --metric sq2", "^--metric 'sq2': must be one of sql2 l2 cosine dot, did you mean 'sql2'"},
    {"mine s.h5 --negatives hardest", "did you mean 'hard'"},
    {"mine s.h5 --negatives semihard:4", "^--negatives 'semihard:4': 'semihard' takes no number$"},
    {"mine s.h5 --metric euclidean",
     "^--metric 'euclidean': must be one of sql2 l2 cosine dot, here it is 'l2'$"},
    {"mine s.h5 --metric Squared_L2", "must be one of sql2 l2 cosine dot, here it is 'sql2'$"},
    {"mine s.h5 --metric ip", "must be one of sql2 l2 cosine dot, here it is 'dot'$"},
    {"mine s.h5 --metric manhattan", "^--metric 'manhattan': must be one of sql2 l2 cosine dot$"},
    {"mine s.h5 --positives easy", "here it is 'easiest'$"},
    {"mine s.h5 --batch_size 32",
     "^'--batch_size': unknown option, here it is --classes-per-batch P, with --rows-per-class K"},
    {"knn s.h5 --n_neighbors 5", "^'--n_neighbors': unknown option, here it is --k \\(see"},
    {"mine s.h5 -j 4", "^'-j': unknown option, here it is --threads \\(see"},
    {"mine s.h5 --corpus d.npy", "^'--corpus': unknown option, here it is STORE, without an option \\(see"},
    {"mine s.h5 -n 2", "^'-n': unknown option, here it is mpirun's: mpirun -n P trimine \\.\\.\\. \\(see"},
    {"plan s.h5 -n 2", "^'-n': unknown option, here it is --ranks-list \\(see"},
    {"show s.h5 -n 2", "^'-n': unknown option \\(see"},
    {"plan s.h5 --ranks-list 2-4",
     "^--ranks-list '2-4': must be a finite number, 1 or more; several have commas between$"},
    {"plan knn s.h5", "^plan 'knn': plans jobs of mine; trimine knn plans its own, with --dry-run$"},
    {"plan mine s.h5", "^plan 'mine': leave that word out"},
    {"mine s.h5 --negatives hard --ranks 2",
     "^--ranks '2': must be A-B or A-, .* \\(how many processes there are is mpirun's -n\\)$"},
    {"mine s.h5 --cosine", "^'--cosine': unknown option, here it is --metric cosine \\(see"},
    {"radius s.h5 --threshold 0.1", "^'--threshold': unknown option, here it is --radius"},
    {"mine s.h5 --threshold 0.1", "^'--threshold': unknown option"},
    {"mine s.h5 --positives easyest",
     "must be one of all hardest easiest nearest:K random:K, did you mean 'easiest'"},
    {"mine s.h5 --window Lt", "did you mean 'lt'"},
    {"loss s.h5 --reduction mean", "did you mean 'mean_all'"},
    {"mine s.h5 --compat facenett", "did you mean 'facenet'"},
    {"mine s.h5 --threads _", "^--threads '': must be a whole number from 1 to 4096$"},
    {"mine s.h5 --threads 4097", "^--threads '4097': must be a whole number from 1 to 4096$"},
    {"mine s.h5 --mem-per-rank 8", "^--mem-per-rank '8': give a unit, such as 8G or 8GiB"},
    {"mine s.h5 --mem-per-rank 0.5", "such as 0.5G"},
    {"mine s.h5 --mem-per-rank 8\t", "^--mem-per-rank '8.*': must be a size such as"},
    {"mine s.h5 --mem-per-rank -5", "^--mem-per-rank '-5': must be a size such as"},
    {"mine s.h5 --mem-per-rank nan", "^--mem-per-rank 'nan': must be a size such as"},
    {"mine s.h5 -o=t.h5", "^'-o=t.h5': write -o t.h5, or --output=t.h5$"},
    {"mine s.h5 -vo=t.h5", "^'-vo=t.h5': write -o t.h5"},
    {"mine s.h5 -o -v", "^'--output': needs a value"},
    {"mine s.h5 --checkpoint -overwrite", "^'--checkpoint': needs a value"},
    {"mine s.h5 --mem-per-rank 8X", "^--mem-per-rank '8X': must be a size such as"},
    {"bench", "^bench: say what to measure"},
    {"bench --json --quiet", "^bench: say what to measure"},
    {"bench s.h5 --rows 5", "^'s.h5': a store or a synthetic one \\(--rows, .*\\), not both$"},
    {"bench --rounds 3 --normalize",
     "^--embeddings, --labels, --ids and --normalize go with a STORE: none given$"},
    {"bench --rows 5 --labels y", "go with a STORE: none given$"},
    {"bench s.h5 --rounds 0", "^--rounds '0': must be a whole number from 1 to 1000$"},
    {"bench s.h5 --ignore-label 1", "^'--ignore-label': not an option of trimine bench"},
    {"mine --quiet", "^no store given"},
    {"eval s.h5 --at 10 20", "^'20': no such file; as one more value it is written --at 10,20$"},
    {"loss s.h5 --margins 0.1 0.2,0.5", "^'0.2,0.5': .* it is written --margins 0.1,0.2,0.5$"},
    {"knn s.h5 --k 5 10", "^'10': no such file; --k takes one value$"},
    {"mine --margin=0.1 0.2 s.h5", "^'0.2': no such file; --margin takes one value$"},
    {"mine --seed 3 rows", "^$"},
    {"synth --rows 100 200", "^$"},
    {"eval --at 10 20 30 s.h5", "^'20': no such file; as one more value it is written --at 10,20,30$"},
    {"eval --at=10, 20, 30 s.h5", "as one more value it is written --at 10,20,30$"},
    {"eval s.h5 --metrics mrr recall --json", "written --metrics mrr,recall$"},
    {"mine s.h5 --margins 0.1 0.2",
     "^'0.2': no such file; as one more value it is written --margins 0.1,0.2$"},
    {"plan s.h5 --ranks-list 1 2 4", "written --ranks-list 1,2,4$"},
    {"mine s.h5 --ignore-label 3 4", "^'4': no such file; .* --ignore-label 3 --ignore-label 4$"},
    {"mine s.h5 --histogram 0", "^--histogram '0': must be a whole number from 1 to 65536$"},
    {"mine s.h5 --histogram 65537", "^--histogram '65537': must be"},
    {"mine s.h5 --margins _",
     "^--margins '': must be a finite number, 0 or more; several have commas between$"},
    {"mine s.h5 --margins 0.1,,0.2", "^--margins '': must be a finite number"},
    {"mine s.h5 --margins 0.1,", "^--margins '': must be a finite number"},
    {"mine s.h5 --margins 0.1,-1", "^--margins '-1': must be a finite number"},
    {"mine s.h5 --margins 0.1;0.2", "^--margins '0.1;0.2': must be a finite number"},
    {"mine s.h5 --margins nan", "^--margins 'nan': must be a finite number"},
    {"mine s.h5 --margins 0.1 --window le", "^--margins .*: --window le does not go with it$"},
    {"mine s.h5 --margins 0.1 --pick farthest", "--pick farthest does not go with it$"},
    {"mine s.h5 --margins 0.1 --soft", "--soft does not go with it$"},
    {"mine s.h5 --margins 0.1 --compat tfs", "--soft \\(of --compat tfs\\) does not go with it$"},
    {"loss s.h5 --loss mined --margins 0.1 --swap", "--swap does not go with it$"},
    {"synth s.h5 --margins 0.1", "^'--margins': not an option of trimine synth, but of: mine loss plan$"},
};

static void what_is_wrong_is_said(void **state)
{
    trm_cli cli;
    trm_error err;
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const trm_status status = parse(refused[i].line, &cli, &err);
        if (status != TRM_ERR_USAGE && strcmp(refused[i].pattern, "^$") != 0)
            fail_msg("'%s' is not refused", refused[i].line);
        if (!matches(refused[i].pattern, err.text))
            fail_msg("'%s': %s", refused[i].line, err.text);
        done(&cli);
    }
}

static void margins_are_as_many_as_are_given(void **state)
{
    trm_cli cli;
    trm_error err;
    char line[512] = "mine s.h5 --margins 0";
    (void)state;
    assert_int_equal(parse("mine s.h5 --margins 0.5,0,1e-3", &cli, &err), TRM_OK);
    assert_int_equal(cli.job->settings.survey.margins, 3);
    assert_true(cli.job->settings.survey.margin[0] == 0.5 && cli.job->settings.survey.margin[1] == 0.0 &&
                cli.job->settings.survey.margin[2] == 1e-3);
    assert_int_equal(cli.job->settings.mine.window, TRM_WINDOW_NONE);
    done(&cli);
    for (int i = 1; i < TRM_MARGINS_MOST; i++)
        strcat(line, ",1");
    assert_int_equal(parse(line, &cli, &err), TRM_OK);
    assert_int_equal(cli.job->settings.survey.margins, TRM_MARGINS_MOST);
    done(&cli);
    assert_int_equal(parse(strcat(line, ",1"), &cli, &err), TRM_ERR_USAGE);
    assert_true(matches("must be at most 100 numbers, with commas between$", err.text));
    done(&cli);
}

static void values_are_found_where_GNU_programs_have_them(void **state)
{
    trm_cli cli;
    trm_error err;
    (void)state;
    assert_int_equal(parse("mine a.h5 -vvo t.h5 --margin=0.25 b.h5 --ignore-label -1 -- --c.h5", &cli, &err),
                     TRM_OK);
    assert_int_equal(cli.inputs, 3);
    assert_string_equal(cli.input[1], "b.h5");
    assert_string_equal(cli.input[2], "--c.h5");
    assert_string_equal(cli.job->settings.output, "t.h5");
    assert_int_equal(cli.verbose, 2);
    assert_true(cli.job->settings.mine.margin == 0.25);
    done(&cli);
    assert_int_equal(parse("mine a.h5 -ot.h5 --labels=--x --mem-per-rank 8B", &cli, &err), TRM_OK);
    assert_string_equal(cli.job->settings.output, "t.h5");
    assert_string_equal(cli.job->settings.labels.text[0], "--x");
    assert_int_equal(cli.job->settings.run.mem_per_rank, 8);
    done(&cli);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(margins_are_as_many_as_are_given),
        cmocka_unit_test(values_are_found_where_GNU_programs_have_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
