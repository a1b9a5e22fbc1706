// A feed in React for the web. One client for the app, made when the user has signed in. It counts under StrictMode, too.
import { observeViews } from "@impressions/client/browser";
import { useEffect, useState } from "react";

export function Feed({ impressions, posts }) {
  const [views, setViews] = useState(null);
  useEffect(() => {
    const views = observeViews(impressions);
    setViews(views);
    return () => views.disconnect();
  }, [impressions]);
  return posts.map((post, position) => <Post key={post.id} views={views} post={post} position={position} />);
}

function Post({ views, post, position }) {
  const [element, setElement] = useState(null);
  useEffect(() => {
    if (views === null || element === null) return;
    views.observe(element, post.id, { surface: "HOME", position });
    return () => views.unobserve(element);
  }, [views, element, post.id, position]);
  return <article ref={setElement}>{post.title}</article>;
}
