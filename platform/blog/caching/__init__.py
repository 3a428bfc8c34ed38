"""What the blog keeps: its pages for visitors, their parts for everybody, counts; and what moves them on."""
