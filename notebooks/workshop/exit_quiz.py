# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exit quiz
#
# Questions over the whole course, one right option each. Every option is explained once you have answered. Your best
# score is kept for the certificate; in the terminal the same questions come with `q2a lesson quiz`.

# %%
from q2a_core.errors import Q2AError
from q2a_core.teaching.certificate import write_certificate
from q2a_core.teaching.quiz.widget import QuizWidget

QuizWidget()

# %% [markdown]
# ## Certificate
#
# When enough checks of the lessons have passed, this writes a page with them, your score and a fingerprint. The
# fingerprint shows whether the page was changed later; it is no proof of who you are. Answer the quiz first, then put
# your name in and run the cell.

# %%
try:
    print("written:", write_certificate(name=""))
except Q2AError as missing:
    print(missing)
